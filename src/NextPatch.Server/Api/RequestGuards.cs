using System.Diagnostics;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using NextPatch.Core;
using NextPatch.Server.Batching;

namespace NextPatch.Server.Api;

/// <summary>What stands before every endpoint: a request's id, its error as JSON, the key, and the names by which a local server is called.</summary>
internal sealed class RequestGuards
{
    private const int ClientClosedRequest = 499; // seen in logs alone

    private readonly byte[]? _keyHash;
    private readonly bool _isLocal;
    private readonly ServerMeter _meter;
    private readonly ILogger _logger;

    /// <param name="apiKey">Null: none is needed.</param>
    /// <param name="isLocal">Whether the server listens on this machine alone.</param>
    /// <param name="meter">Counts errors.</param>
    /// <param name="logger">Told of every request.</param>
    public RequestGuards(string? apiKey, bool isLocal, ServerMeter meter, ILogger logger)
    {
        _keyHash = apiKey is null ? null : Hash(apiKey);
        (_isLocal, _meter, _logger) = (isLocal, meter, logger);
    }

    /// <summary>Handles a request.</summary>
    public async Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        var began = Stopwatch.GetTimestamp();
        var id = context.TraceIdentifier = "req_" + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(12));
        context.Response.Headers["x-request-id"] = id;
        context.Response.Headers.XContentTypeOptions = "nosniff";
        var status = 0;
        try
        {
            Admit(context.Request);
            await next(context).ConfigureAwait(false);
            if (context.Response is { HasStarted: false, StatusCode: 404 or 405, ContentType: null })
            {
                await AnswerAsync(context, NoRoute(context)).ConfigureAwait(false);
            }
        }
        catch (Exception) when (context.RequestAborted.IsCancellationRequested)
        {
            _logger.Left(id);
            status = ClientClosedRequest;
        }
#pragma warning disable CA1031 // Whatever it is, the client gets an answer and the server goes on.
        catch (Exception e)
#pragma warning restore CA1031
        {
            await FailAsync(context, e).ConfigureAwait(false);
        }

        status = status == 0 ? context.Response.StatusCode : status;
        _logger.Answered(
            id, context.Request.Method, PrintableText.From(context.Request.Path), status, Stopwatch.GetElapsedTime(began).TotalMilliseconds);
    }

    /// <summary>The error that an exception is to a client.</summary>
    public ApiException Explain(HttpContext context, Exception exception)
    {
        var error = exception switch
        {
            ApiException own => own,
            BadHttpRequestException e => new ApiException(e.StatusCode, e.Message, code: e.StatusCode == 413 ? "body_too_large" : "bad_request"),
            ConfigException e => new ApiException(400, e.Message, code: "invalid_value"),
            _ => new ApiException(
                500, $"The server failed; its log has more under {context.TraceIdentifier}.", code: "internal_error", type: "server_error"),
        };
        if (error.Status >= 500 && exception is not ApiException)
        {
            _logger.Failed(context.TraceIdentifier, exception);
        }

        _logger.Refused(context.TraceIdentifier, error.Status, error.Code, error.Parameter is { } p ? PrintableText.From(p) : null);
        _meter.Failed(error.Code ?? "other");
        return error;
    }

    private static ApiException NoRoute(HttpContext context) => context.Response.StatusCode == 405
        ? new ApiException(405, $"{context.Request.Method} is not taken here.", code: "method_not_allowed")
        : new ApiException(
            404, $"There is nothing at {PrintableText.From(context.Request.Path)}; /openapi.json says what there is.", code: "unknown_url");

    private static byte[] Hash(string text) => SHA256.HashData(Encoding.UTF8.GetBytes(text));

    private async Task FailAsync(HttpContext context, Exception exception)
    {
        if (context.Response.HasStarted)
        {
            Explain(context, exception);
            context.Abort();
            return;
        }

        await AnswerAsync(context, exception).ConfigureAwait(false);
    }

    private async Task AnswerAsync(HttpContext context, Exception exception)
    {
        try
        {
            await ErrorWriter.WriteAsync(context.Response, Explain(context, exception)).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            _logger.Left(context.TraceIdentifier);
        }
    }

    private void Admit(HttpRequest request)
    {
        if (_isLocal && _keyHash is null)
        {
            RequireOwn(request);
        }

        var isGuarded = request.Path.StartsWithSegments("/v1", StringComparison.OrdinalIgnoreCase) // routes do not mind case either
            || request.Path.StartsWithSegments("/metrics", StringComparison.OrdinalIgnoreCase);
        if (_keyHash is { } hash && isGuarded && !IsKey(request.Headers.Authorization.ToString(), hash))
        {
            throw new ApiException(401, "The key is missing or wrong; send it as 'Authorization: Bearer KEY'.", code: "invalid_api_key");
        }
    }

    /// <summary>
    /// Pages of other sites may send requests to a server on this machine: by a name of their own that leads here, and forms by any name.
    /// </summary>
    private static void RequireOwn(HttpRequest request)
    {
        if (!IsLocalName(request.Host.Host))
        {
            throw new ApiException(
                403,
                $"This server answers to localhost alone, not to '{PrintableText.From(request.Host.Host)}'; others need a server that asks for an "
                    + "API key.",
                code: "unknown_host");
        }

        if (request.Headers.Origin.ToString() is { Length: > 0 } origin
            && !(Uri.TryCreate(origin, UriKind.Absolute, out var page) && page.Authority == request.Host.Value))
        {
            throw new ApiException(
                403, $"Pages of '{PrintableText.From(origin)}' may not draw here; they need a server that asks for an API key.",
                code: "unknown_origin");
        }
    }

    private static bool IsLocalName(string host)
        => host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
            || (IPAddress.TryParse(host, out var address) && IPAddress.IsLoopback(address));

    private static bool IsKey(string header, byte[] hash)
        => header.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase)
            && CryptographicOperations.FixedTimeEquals(Hash(header["Bearer ".Length..].Trim()), hash);
}
