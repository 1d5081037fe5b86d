using System.Security.Cryptography;

namespace NextPatch.Evaluation.Protocol;

/// <summary>SHA-256 of a file, as <c>sha256sum</c> prints it.</summary>
internal static class FileHash
{
    public static string Of(string path)
    {
        using var stream = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }
}
