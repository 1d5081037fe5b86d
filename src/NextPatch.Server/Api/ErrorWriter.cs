using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace NextPatch.Server.Api;

/// <summary>Errors as OpenAI's clients read them: all four keys, the last two null where there is nothing to say.</summary>
internal static class ErrorWriter
{
    /// <summary>The body.</summary>
    public static void Write(Utf8JsonWriter json, ApiException error)
    {
        json.WriteStartObject();
        json.WriteStartObject("error");
        json.WriteString("message", error.Message);
        json.WriteString("type", error.Type);
        json.WriteString("param", error.Parameter);
        json.WriteString("code", error.Code);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    /// <summary>The answer; nothing may have been sent.</summary>
    public static async Task WriteAsync(HttpResponse response, ApiException error)
    {
        response.StatusCode = error.Status;
        response.ContentType = "application/json";
        response.Headers.CacheControl = "no-store";
        if (error.RetryAfter is { } seconds)
        {
            response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        }
        else if (error.Status >= 500)
        {
            response.Headers["x-should-retry"] = "false"; // the official clients would draw it three times
        }

        await using (var json = new Utf8JsonWriter(response.BodyWriter))
        {
            Write(json, error);
        }

        await response.BodyWriter.FlushAsync().ConfigureAwait(false);
    }
}
