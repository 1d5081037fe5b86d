using System.Buffers;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using NextPatch.Core;
using NextPatch.Core.Imaging;
using NextPatch.Data.Imaging;
using NextPatch.Server.Batching;

namespace NextPatch.Server.Api;

/// <summary>Lets a request be drawn and answers it: one JSON object, or events as pictures come.</summary>
internal sealed class ImageResponder
{
    private readonly TimeSpan _timeout;
    private readonly ImageStore _store;
    private readonly RequestGuards _guards;
    private readonly ILogger _logger;
    private readonly bool _logsPrompts;

    /// <param name="timeout">Longest time from arrival to the last image.</param>
    /// <param name="store">Keeps what is asked for as URL.</param>
    /// <param name="guards">Explain what happens in the middle of a stream.</param>
    /// <param name="logger">Told of every drawn request.</param>
    /// <param name="logsPrompts">Whether also of prompts.</param>
    public ImageResponder(TimeSpan timeout, ImageStore store, RequestGuards guards, ILogger logger, bool logsPrompts)
        => (_timeout, _store, _guards, _logger, _logsPrompts) = (timeout, store, guards, logger, logsPrompts);

    /// <param name="context">The request.</param>
    /// <param name="parameters">What it asks for.</param>
    /// <param name="events">Beginning of the events' names.</param>
    /// <param name="picture">To edit; null: none.</param>
    /// <param name="mask">White where it is drawn anew.</param>
    /// <exception cref="ApiException">Too many wait, or the time is up.</exception>
    public async Task AnswerAsync(HttpContext context, ImageParameters parameters, string events, RgbImage? picture = null, RgbImage? mask = null)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        stop.CancelAfter(_timeout);
        var job = new DrawJob
        {
            Request = parameters.Request, Picture = picture, Mask = mask, PartialRows = parameters.PartialRows,
            ShowsEveryRow = parameters.ShowsEveryRow, Cancellation = stop.Token,
        };
        if (_logsPrompts)
        {
            _logger.Asked(context.TraceIdentifier, PrintableText.From(parameters.Prompt));
        }

        await QueueAsync(context, parameters, job).ConfigureAwait(false);
        parameters = parameters with { Request = job.Request };
        try
        {
            if (!parameters.IsStream)
            {
                await CollectAsync(context, parameters, job).ConfigureAwait(false);
            }
            else if (!await StreamAsync(context, parameters, events, job).ConfigureAwait(false))
            {
                return;
            }

            _logger.Drew(
                context.TraceIdentifier, job.Count, parameters.Model.Name, Stopwatch.GetElapsedTime(job.Arrived, job.Began).TotalSeconds,
                Stopwatch.GetElapsedTime(job.Began).TotalSeconds);
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false); // whatever ended it, nothing goes on being drawn
        }
    }

    /// <summary>Prompts are encoded, which may take seconds, once there is a place in the queue.</summary>
    private static async Task QueueAsync(HttpContext context, ImageParameters parameters, DrawJob job)
    {
        var worker = parameters.Model.Worker;
        if (!worker.TryReserve(job.Count))
        {
            throw new ApiException(429, "Too many images wait; try again later.", code: "queue_full", type: "rate_limit_error")
            {
                RetryAfter = worker.RetryAfter,
            };
        }

        try
        {
            job.Request = await parameters.Model.WithPromptsAsync(job.Request, parameters.Prompt, job.Cancellation).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            worker.Release(job.Count);
            if (e is OperationCanceledException && !context.RequestAborted.IsCancellationRequested)
            {
                throw TimeIsUp();
            }

            throw;
        }

        worker.Add(job);
    }

    private async Task CollectAsync(HttpContext context, ImageParameters parameters, DrawJob job)
    {
        var files = new byte[job.Count][];
        try
        {
            await foreach (var drawn in job.ReadAsync(job.Cancellation).ConfigureAwait(false))
            {
                files[drawn.Place] = ResponseImage.Encode(parameters, drawn);
            }
        }
        catch (OperationCanceledException) when (!context.RequestAborted.IsCancellationRequested)
        {
            throw TimeIsUp();
        }

        context.Response.ContentType = "application/json";
        context.Response.Headers.CacheControl = "no-store";
        await using (var json = new Utf8JsonWriter(context.Response.BodyWriter))
        {
            WriteBody(json, context.Request, parameters, files);
        }

        await context.Response.BodyWriter.FlushAsync(context.RequestAborted).ConfigureAwait(false);
    }

    private void WriteBody(Utf8JsonWriter json, HttpRequest request, ImageParameters parameters, byte[][] files)
    {
        json.WriteStartObject();
        json.WriteNumber("created", DateTimeOffset.UtcNow.ToUnixTimeSeconds());
        json.WriteStartArray("data");
        foreach (var (place, file) in files.Index())
        {
            json.WriteStartObject();
            if (parameters.IsUrl)
            {
                var name = _store.Add(file, PictureEncoder.Extension(parameters.Format));
                json.WriteString("url", $"{request.Scheme}://{request.Host}/files/{name}");
            }
            else
            {
                json.WriteBase64String("b64_json", file);
            }

            json.WriteString("revised_prompt", parameters.Request.Prompts?[place].Text ?? parameters.Model.Classes[parameters.Request.Labels[place]]);
            ResponseImage.WriteOrigin(json, parameters, place);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        WriteKind(json, parameters);
        ResponseImage.WriteUsage(json, parameters, files.Length);
        json.WriteEndObject();
    }

    /// <returns>Whether all images were drawn; otherwise the last event is an error.</returns>
    private async Task<bool> StreamAsync(HttpContext context, ImageParameters parameters, string events, DrawJob job)
    {
        context.Response.ContentType = "text/event-stream";
        context.Response.Headers.CacheControl = "no-store";
        context.Response.Headers["X-Accel-Buffering"] = "no";
        await context.Response.Body.FlushAsync(job.Cancellation).ConfigureAwait(false); // what waits is seen to wait
        var partials = new int[job.Count];
        try
        {
            await foreach (var drawn in job.ReadAsync(job.Cancellation).ConfigureAwait(false))
            {
                var file = ResponseImage.Encode(parameters, drawn);
                var partial = drawn.IsFinished ? -1 : partials[drawn.Place]++;
                var name = $"{events}.{(drawn.IsFinished ? "completed" : "partial_image")}";
                await SendAsync(context, name, json => WriteEvent(json, name, parameters, drawn, file, partial)).ConfigureAwait(false);
            }

            return true;
        }
        catch (Exception e) when (!context.RequestAborted.IsCancellationRequested)
        {
            var error = _guards.Explain(context, e is OperationCanceledException ? TimeIsUp() : e);
            await SendAsync(context, "error", json => ErrorWriter.Write(json, error)).ConfigureAwait(false);
            return false;
        }
    }

    private static void WriteEvent(Utf8JsonWriter json, string name, ImageParameters parameters, DrawnImage drawn, byte[] file, int partial)
    {
        json.WriteStartObject();
        json.WriteString("type", name);
        json.WriteBase64String("b64_json", file);
        if (partial >= 0)
        {
            json.WriteNumber("partial_image_index", partial);
            json.WriteNumber("rows", drawn.Rows); // no contract has it
        }

        json.WriteNumber("created_at", DateTimeOffset.UtcNow.ToUnixTimeSeconds());
        WriteKind(json, parameters);
        ResponseImage.WriteOrigin(json, parameters, drawn.Place);
        if (partial < 0)
        {
            ResponseImage.WriteUsage(json, parameters, images: 1);
        }

        json.WriteEndObject();
    }

    private static void WriteKind(Utf8JsonWriter json, ImageParameters parameters)
    {
        var side = parameters.Model.Side;
        json.WriteString("background", "opaque");
        json.WriteString("output_format", ResponseImage.Format(parameters));
        json.WriteString("quality", "high");
        json.WriteString("size", $"{side}x{side}");
    }

    private static async Task SendAsync(HttpContext context, string name, Action<Utf8JsonWriter> write)
    {
        var writer = context.Response.BodyWriter;
        writer.Write(Encoding.UTF8.GetBytes($"event: {name}\ndata: "));
        await using (var json = new Utf8JsonWriter(writer))
        {
            write(json);
        }

        writer.Write("\n\n"u8);
        await writer.FlushAsync(context.RequestAborted).ConfigureAwait(false);
    }

    private static ApiException TimeIsUp() => new(504, "The images were not drawn in time.", code: "timeout", type: "server_error");
}
