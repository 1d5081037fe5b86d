using System.Runtime.InteropServices;

namespace NextPatch.Core.Tensors;

// Shape letters: N outputs, K inputs.

/// <summary>
/// Matrices in whole numbers from -127 to 127 with a scale for every 128 weights of an output. In files "x" is int8 [N, K] and "x.scale" float32
/// [N, K / 128, rounded up].
/// </summary>
internal static class Int8Quantization
{
    /// <summary>Weights of a row that share a scale.</summary>
    public const int BlockLength = 128;

    /// <summary>What follows the name of a matrix in that of its scales.</summary>
    public const string ScaleSuffix = ".scale";

    private const int Largest = 127;

    /// <summary>Scales of a row.</summary>
    public static int Blocks(long length) => (int)((length + BlockLength - 1) / BlockLength);

    /// <summary>The scale of a block: its largest weight becomes 127.</summary>
    public static float Scale(ReadOnlySpan<float> block)
    {
        var scale = 0f;
        foreach (var value in block)
        {
            scale = MathF.Max(scale, MathF.Abs(value) / Largest);
        }

        return scale;
    }

    public static sbyte Round(float value, float scale) => (sbyte)(scale == 0 ? 0 : MathF.Round(value / scale));

    /// <summary>A matrix as it is stored; both parts are computed as they are read.</summary>
    /// <param name="source">Floating-point [N, K].</param>
    public static (StoredTensor Quantities, StoredTensor Scales) Quantize(StoredTensor source)
    {
        var (rows, length) = ((int)source.Shape[0], (int)source.Shape[1]);
        return (new RowwiseTensor(ElementType.Int8, [rows, length], source, (row, to) =>
        {
            for (var k = 0; k < row.Length; k += BlockLength)
            {
                var block = row.Slice(k, Math.Min(BlockLength, row.Length - k));
                var scale = Scale(block);
                for (var i = 0; i < block.Length; i++)
                {
                    to[k + i] = (byte)Round(block[i], scale);
                }
            }
        }), new RowwiseTensor(ElementType.Float32, [rows, Blocks(length)], source, (row, to) =>
        {
            var scales = MemoryMarshal.Cast<byte, float>(to);
            for (var block = 0; block < scales.Length; block++)
            {
                scales[block] = Scale(row.Slice(block * BlockLength, Math.Min(BlockLength, row.Length - (block * BlockLength))));
            }
        }));
    }

    /// <summary>The same tensors, those that are stored so as matrices in float: <see cref="QuantizedTensor"/>.</summary>
    public static IReadOnlyDictionary<string, StoredTensor> Merge(IReadOnlyDictionary<string, StoredTensor> tensors)
    {
        var merged = new Dictionary<string, StoredTensor>();
        foreach (var (name, tensor) in tensors)
        {
            if (ScalesOf(tensors, name) is { } scales)
            {
                merged[name] = new QuantizedTensor(tensor, scales);
            }
            else if (!name.EndsWith(ScaleSuffix, StringComparison.Ordinal) || ScalesOf(tensors, name[..^ScaleSuffix.Length]) is null)
            {
                merged[name] = tensor;
            }
        }

        return merged.Count == tensors.Count ? tensors : merged;
    }

    private static StoredTensor? ScalesOf(IReadOnlyDictionary<string, StoredTensor> tensors, string name)
        => tensors.TryGetValue(name, out var tensor) && tensor is { Type: ElementType.Int8, Shape: [var rows, var length] }
            && tensors.TryGetValue(name + ScaleSuffix, out var scales) && scales is { Type: ElementType.Float32, Shape: [var own, var blocks] }
            && own == rows && blocks == Blocks(length) && rows > 0
            ? scales
            : null;

    private delegate void RowFill(ReadOnlySpan<float> row, Span<byte> to);

    /// <summary>Rows that are computed from those of another matrix.</summary>
    private sealed class RowwiseTensor(ElementType type, IReadOnlyList<long> shape, StoredTensor source, RowFill fill) : StoredTensor(type, shape)
    {
        private readonly StoredTensor _source = source.As(ElementType.Float32);

        public override void CopyTo(long offset, Span<byte> destination)
        {
            var row = new float[_source.Shape[1]];
            var own = new byte[Shape[1] * Type.Size()];
            while (!destination.IsEmpty)
            {
                var (index, skipped) = (offset / own.Length, (int)(offset % own.Length));
                _source.CopyTo(index * row.Length * sizeof(float), MemoryMarshal.AsBytes(row.AsSpan()));
                fill(row, own);
                var count = Math.Min(own.Length - skipped, destination.Length);
                own.AsSpan(skipped, count).CopyTo(destination);
                destination = destination[count..];
                offset += count;
            }
        }
    }
}
