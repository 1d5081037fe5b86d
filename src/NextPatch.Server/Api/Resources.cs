using System.Reflection;
using Microsoft.AspNetCore.Http;

namespace NextPatch.Server.Api;

/// <summary>Files that come with the server: the page, and the description of the API.</summary>
internal static class Resources
{
    /// <summary>Nothing from elsewhere: not a script, not a font, not a picture but those that the page itself was given.</summary>
    private const string Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    /// <summary>An endpoint that sends a file.</summary>
    public static RequestDelegate Send(string name, string type)
    {
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(name)!;
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return async context =>
        {
            context.Response.ContentType = type;
            context.Response.ContentLength = bytes.Length;
            context.Response.Headers.CacheControl = "no-cache";
            context.Response.Headers.ContentSecurityPolicy = Policy;
            await context.Response.Body.WriteAsync(bytes, context.RequestAborted).ConfigureAwait(false);
        };
    }
}
