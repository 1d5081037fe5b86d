using System.Net;
using NextPatch.Core;

namespace NextPatch.Server;

/// <summary>An address to listen on.</summary>
internal static class ListenAddress
{
    /// <summary>Whether only programs on this machine reach it.</summary>
    /// <exception cref="ConfigException">It is no such address.</exception>
    public static bool IsLocal(string url)
    {
        // Names that mean every address of the machine are no hosts to a URI.
        var plain = url.Replace("://*", "://0.0.0.0", StringComparison.Ordinal).Replace("://+", "://0.0.0.0", StringComparison.Ordinal);
        if (!Uri.TryCreate(plain, UriKind.Absolute, out var uri) || uri.Scheme != "http" || uri.PathAndQuery != "/" || uri.UserInfo.Length > 0)
        {
            throw new ConfigException(
                $"Urls '{url}' is no address to listen on; write it like http://127.0.0.1:8080. For https, let a proxy stand before the server.")
            {
                Settings = ["Urls"],
            };
        }

        return uri.Host == "localhost" || (IPAddress.TryParse(uri.Host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address));
    }
}
