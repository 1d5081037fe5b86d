using System.Security.Cryptography;
using NextPatch.Core;

namespace NextPatch.Cli.Sampling;

/// <summary>Identifies weights: SHA-256 of the safetensors file, in lower-case hexadecimal.</summary>
internal static class WeightsHash
{
    /// <summary>The hash of a weights file.</summary>
    /// <exception cref="NextPatchException">The file is missing.</exception>
    public static string OfFile(string path)
    {
        if (!File.Exists(path))
        {
            throw new NextPatchException($"'{path}' does not exist, so these weights cannot be identified.");
        }

        using var stream = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }

    /// <summary>The hash of a tokenizer folder: what codes and checkpoints remember as their tokenizer.</summary>
    public static string OfTokenizer(string folder) => OfFile(Path.Combine(folder, "model.safetensors"));
}
