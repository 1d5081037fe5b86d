using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using NextPatch.Core;
using NextPatch.Sampling;
using NextPatch.Server.Api;
using NextPatch.Server.Batching;
using OpenTelemetry.Metrics;

namespace NextPatch.Server;

/// <summary>Serves models over HTTP: the images API of OpenAI, health, metrics and a page.</summary>
internal sealed class ImageServer : IAsyncDisposable
{
    private const int MostConnections = 1024;

    /// <summary>Bytes of a refused body that are read to the end, so that its client sees the answer; larger ones are cut off.</summary>
    private const int MostIgnored = 4 * UploadBudget.MostPerRequest;

    private readonly WebApplication _app;
    private readonly ServerMeter _meter;
    private readonly List<ServedModel> _models = [];

    private ImageServer(WebApplication app, ServerMeter meter) => (_app, _meter) = (app, meter);

    /// <summary>What it serves, the default first.</summary>
    public IReadOnlyList<ServedModel> Models => _models;

    /// <summary>Where it listens, once it is started.</summary>
    public ICollection<string> Urls => _app.Urls;

    /// <summary>A server that is not started.</summary>
    /// <param name="models">By name, the default first; they become the server's, also where this fails.</param>
    /// <param name="options">Null: the defaults.</param>
    /// <param name="configureLogs">Says where logs go; null: nowhere.</param>
    /// <exception cref="NextPatchException">A model cannot be served.</exception>
    public static ImageServer Create(
        IReadOnlyList<(string Name, SampleModel Model)> models, ImageServerOptions? options = null, Action<ILoggingBuilder>? configureLogs = null)
    {
        options ??= new ImageServerOptions();
        var isLocal = options.Urls.All(ListenAddress.IsLocal);
        var app = Build(options, configureLogs);
        var server = new ImageServer(app, new ServerMeter());
        try
        {
            var logger = app.Services.GetRequiredService<ILoggerFactory>().CreateLogger("NextPatch.Server");
            foreach (var (name, model) in models)
            {
                server._models.Add(new ServedModel(name, model, new ModelWorker(
                    name, model, options.QueueLimit, server._meter, e => logger.ModelFailed(name, e))));
            }

            server.Map(options, isLocal, logger);
            return server;
        }
        catch
        {
            foreach (var (_, model) in models.Skip(server._models.Count))
            {
                model.Dispose();
            }

            server.DisposeAsync().AsTask().GetAwaiter().GetResult();
            throw;
        }
    }

    /// <summary>Begins to listen.</summary>
    /// <exception cref="IOException">The address is taken.</exception>
    public Task StartAsync(CancellationToken cancellation) => _app.StartAsync(cancellation);

    /// <summary>Takes no new requests, and waits for those that there are.</summary>
    public Task StopAsync() => _app.StopAsync();

    /// <summary>Ends what is left, and frees the models.</summary>
    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync().ConfigureAwait(false);
        _models.ForEach(model => model.Dispose());
        _meter.Dispose();
    }

    private static WebApplication Build(ImageServerOptions options, Action<ILoggingBuilder>? configureLogs)
    {
        // Empty: no settings from files or variables that lie about.
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = MostIgnored;
            kestrel.Limits.MaxConcurrentConnections = MostConnections;
        });
        builder.WebHost.UseUrls([.. options.Urls]);
        builder.Services.AddRoutingCore();
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = options.Timeout);
        builder.Services.AddOpenTelemetry().WithMetrics(metrics => metrics.AddMeter(ServerMeter.Name).AddPrometheusExporter());
        configureLogs?.Invoke(builder.Logging);
        return builder.Build();
    }

    private void Map(ImageServerOptions options, bool isLocal, ILogger logger)
    {
        var (guards, store) = (new RequestGuards(options.ApiKey, isLocal, _meter, logger), new ImageStore());
        var responder = new ImageResponder(options.Timeout, store, guards, logger, options.LogsPrompts);
        var (images, models) = (new ImageEndpoints(_models, responder), new ModelEndpoints(_models));
        var stopping = _app.Lifetime.ApplicationStopping;
        _app.Use((context, next) => guards.InvokeAsync(context, _ => next(context)));
        _app.UseRouting();
        _app.UseOpenTelemetryPrometheusScrapingEndpoint("/metrics");
        _app.MapPost("/v1/images/generations", (RequestDelegate)images.GenerateAsync);
        _app.MapPost("/v1/images/edits", (RequestDelegate)images.EditAsync);
        _app.MapGet("/v1/models", (RequestDelegate)models.ListAsync);
        _app.MapGet("/v1/models/{**id}", (RequestDelegate)models.GetAsync);
        _app.MapGet("/files/{name}", context => SendFileAsync(context, store));
        _app.MapGet("/healthz", context => SayAsync(context, "ok"));
        _app.MapGet("/readyz", context => SayAsync(
            context, stopping.IsCancellationRequested ? "stopping" : _models.All(model => model.Worker.IsWarm) ? "ready" : "warming up", "ready"));
        _app.MapGet("/openapi.json", Resources.Send("openapi.json", "application/json"));
        _app.MapGet("/", Resources.Send("index.html", "text/html; charset=utf-8"));
        _app.MapGet("/app.js", Resources.Send("app.js", "text/javascript; charset=utf-8"));
        _app.MapGet("/style.css", Resources.Send("style.css", "text/css; charset=utf-8"));
        _app.MapGet("/icon.svg", Resources.Send("icon.svg", "image/svg+xml"));
    }

    private static Task SayAsync(HttpContext context, string state, string? good = null)
    {
        context.Response.StatusCode = good is null || good == state ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
        context.Response.ContentType = "text/plain";
        context.Response.Headers.CacheControl = "no-store";
        return context.Response.WriteAsync(state);
    }

    private static async Task SendFileAsync(HttpContext context, ImageStore store)
    {
        var name = (string)context.Request.RouteValues["name"]!;
        var file = store.Find(name) ?? throw new ApiException(404, "There is no such image, or not any more.", code: "not_found");
        context.Response.ContentType = name.EndsWith(".png", StringComparison.Ordinal) ? "image/png"
            : name.EndsWith(".jpg", StringComparison.Ordinal) ? "image/jpeg" : "image/webp";
        context.Response.ContentLength = file.Length;
        await context.Response.Body.WriteAsync(file, context.RequestAborted).ConfigureAwait(false);
    }
}
