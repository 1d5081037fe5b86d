using System.Runtime.InteropServices;
using NextPatch.Core;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Tensors;

namespace NextPatch.Text.Features;

/// <summary>
/// Features of many captions: features.npy [tokens of all captions, width] float32, memory-mapped; offsets.npy [captions + 1] int64, where each
/// begins; hashes.npy [captions] uint64, of the caption that was encoded. A caption that could not be used has no rows.
/// </summary>
internal sealed class FeatureStore : ICaptionFeatures
{
    public const string Features = "features.npy", Offsets = "offsets.npy", Hashes = "hashes.npy";

    private readonly TensorFile _file;
    private readonly StoredTensor _features;
    private readonly long[] _offsets;

    private FeatureStore(TensorFile file, StoredTensor features, long[] offsets, ulong[] hashes)
    {
        (_file, _features, _offsets) = (file, features, offsets);
        CaptionHashes = hashes;
    }

    /// <inheritdoc/>
    public int Count => _offsets.Length - 1;

    /// <inheritdoc/>
    public int Width => (int)_features.Shape[1];

    /// <summary>By caption; 0 where it could not be used.</summary>
    public IReadOnlyList<ulong> CaptionHashes { get; }

    /// <exception cref="NextPatchException">A file is missing.</exception>
    /// <exception cref="DataFormatException">The files do not fit each other.</exception>
    public static FeatureStore Open(string folder)
    {
        var offsets = NpyFile.Read(Path.Combine(folder, Offsets));
        var hashes = NpyFile.Read(Path.Combine(folder, Hashes));
        var file = NpyFile.Open(Path.Combine(folder, Features));
        var features = file.Tensors.Values.Single();
        var starts = offsets.Type == ElementType.Int64 && offsets.Shape.Count == 1 ? offsets.ToInt64() : [];
        if (features is { Type: ElementType.Float32, Shape: [var rows, > 0 and <= int.MaxValue] } && starts.Length > 0 && starts[0] == 0
            && starts[^1] == rows && starts.Zip(starts.Skip(1)).All(p => p.First <= p.Second && p.Second - p.First <= int.MaxValue)
            && hashes is { Type: ElementType.UInt64, Shape: [var count] } && count == starts.Length - 1)
        {
            return new FeatureStore(file, features, starts, [.. hashes.AsSpan<ulong>()]);
        }

        file.Dispose();
        throw new DataFormatException(
            $"The files in '{folder}' do not fit each other: {Features} is {features}, {Offsets} {offsets}, {Hashes} {hashes}; expected float32 "
            + "[tokens, width], int64 [captions + 1] that grow from 0 to tokens, and uint64 [captions]. Encode the captions again.");
    }

    /// <inheritdoc/>
    public string? ProblemOf(int caption) => Length(caption) > 0 ? null : "no features";

    /// <inheritdoc/>
    public int Length(int caption) => (int)(_offsets[caption + 1] - _offsets[caption]);

    /// <inheritdoc/>
    public void Read(int caption, Span<float> destination)
    {
        _features.CopyTo(_offsets[caption] * Width * sizeof(float), MemoryMarshal.AsBytes(destination));
        if (FiniteNumbers.FirstNotFinite(destination) >= 0)
        {
            throw new DataFormatException($"The features of caption {caption} are not finite: {_features} is damaged. Encode the captions again.");
        }
    }

    public void Dispose() => _file.Dispose();

    /// <summary>One caption's features as LlamaGen keeps them: .npy [1, tokens, width], of any floating type.</summary>
    /// <exception cref="NextPatchException">Missing.</exception>
    /// <exception cref="DataFormatException">Of another shape or type, or not finite.</exception>
    public static HostTensor ReadPublished(string path)
    {
        var features = NpyFile.Read(path);
        return features.Shape is [1, > 0, > 0] && features.Type.IsFloating() && Array.TrueForAll(features.ToSingles(), float.IsFinite)
            ? features
            : throw new DataFormatException($"'{path}' is {features} or not finite; features of a caption are real numbers [1, tokens, width].");
    }
}
