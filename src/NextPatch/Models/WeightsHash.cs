using NextPatch.Core;
using NextPatch.Core.Checkpoints;

namespace NextPatch.Models;

/// <summary>Identifies weights by <see cref="FileHash.ComputeForWeights"/>.</summary>
internal static class WeightsHash
{
    /// <summary>The hash of a weights file, or of the set that an index lists.</summary>
    /// <exception cref="NextPatchException">The file is missing.</exception>
    public static string ComputeForFile(string path, CancellationToken cancellation = default) => FileHash.ComputeForWeights(path, cancellation);

    /// <summary>The hash of a tokenizer's weights, in a folder or a file: what codes and checkpoints remember as their tokenizer.</summary>
    public static string ComputeForTokenizer(string path) => ComputeForFile(Directory.Exists(path) ? Path.Combine(path, "model.safetensors") : path);
}
