using System.Security.Cryptography;
using NextPatch.Core;
using NextPatch.Core.Checkpoints.Safetensors;

namespace NextPatch.Cli.Models;

/// <summary>Identifies weights: SHA-256 of their file, in lower-case hexadecimal; of a set of files, of their bytes one after the other.</summary>
internal static class WeightsHash
{
    private const int BufferBytes = 1 << 20;

    /// <summary>The hash of a weights file, or of the set that an index lists.</summary>
    /// <exception cref="NextPatchException">The file is missing.</exception>
    public static string OfFile(string path, CancellationToken cancellation = default)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[BufferBytes];
        foreach (var file in SafetensorsIndex.IsIndex(path) ? SafetensorsIndex.FilesOf(path) : [path])
        {
            if (!File.Exists(file))
            {
                throw new NextPatchException($"'{file}' does not exist, so these weights cannot be identified.");
            }

            using var stream = File.OpenRead(file);
            for (int read; (read = stream.Read(buffer)) > 0;)
            {
                cancellation.ThrowIfCancellationRequested();
                hash.AppendData(buffer, 0, read);
            }
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>The hash of a tokenizer's weights, in a folder or a file: what codes and checkpoints remember as their tokenizer.</summary>
    public static string OfTokenizer(string path) => OfFile(Directory.Exists(path) ? Path.Combine(path, "model.safetensors") : path);
}
