using System.Security.Cryptography;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Files;

namespace NextPatch.Core.Checkpoints;

/// <summary>SHA-256 of files in lower-case hexadecimal, as <c>sha256sum</c> prints it.</summary>
internal static class FileHash
{
    private const int BufferBytes = 1 << 20;

    /// <summary>The hash of a file.</summary>
    /// <exception cref="NextPatchException">It is missing.</exception>
    public static string Compute(string path, CancellationToken cancellation = default) => Compute([path], cancellation);

    /// <summary>The hash of a file of weights; of an index (<c>.index.json</c>) that of the files it lists, one after the other.</summary>
    /// <exception cref="NextPatchException">A file is missing.</exception>
    public static string ComputeForWeights(string path, CancellationToken cancellation = default)
        => Compute(path.EndsWith(".json", StringComparison.OrdinalIgnoreCase) ? SafetensorsIndex.FilesOf(path) : [path], cancellation);

    /// <summary>The hash of several files, one after the other.</summary>
    public static string Compute(IEnumerable<string> paths, CancellationToken cancellation)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[BufferBytes];
        foreach (var path in paths)
        {
            if (!Path.Exists(path))
            {
                throw new NextPatchException($"'{path}' does not exist; check the path.");
            }

            using var stream = TextFile.Open(path);
            for (int read; (read = stream.Read(buffer)) > 0;)
            {
                cancellation.ThrowIfCancellationRequested();
                hash.AppendData(buffer, 0, read);
            }
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
