using System.Runtime.InteropServices;
using System.Text.Json;

namespace NextPatch.Core.Tensors;

// Shape letters: N outputs, K inputs, P panels (an even number, 32 outputs each), B blocks of 128 inputs.

/// <summary>
/// How matrices in eight bits lie in files whose weights are used where they lie: "x.panels" int8 [P, K / 2, 32, 2] and "x.panel_scales" float32
/// [P, B, 32], so outputs of a panel and two neighbouring inputs lie side by side. Numbers and scales are those of <see cref="Int8Quantization"/>;
/// what is filled up is zero. The metadata say N and K of each: {"x": [N, K]}.
/// </summary>
internal static class Int8Panels
{
    /// <summary>Outputs of a panel.</summary>
    public const int Columns = 32;

    /// <summary>What follows the name of a matrix.</summary>
    public const string Suffix = ".panels";

    /// <summary>The same of its scales.</summary>
    public const string ScaleSuffix = ".panel_scales";

    /// <summary>Shapes in the metadata.</summary>
    public const string MetadataKey = "int8_panels";

    /// <summary>Where tensors of a file should begin: on a cache line.</summary>
    public const int Alignment = 64;

    public static long[] PanelShape(long rows, long length) => [Panels(rows), (length + 1) / 2, Columns, 2];

    public static long[] ScaleShape(long rows, long length) => [Panels(rows), Int8Quantization.Blocks(length), Columns];

    /// <summary>A matrix as it is stored; both parts are computed as they are read.</summary>
    /// <param name="source">Floating-point [N, K].</param>
    public static (StoredTensor Panels, StoredTensor Scales) Quantize(StoredTensor source)
    {
        if (source is PanelTensor stored)
        {
            return (stored.Panels, stored.Scales);
        }

        var (quantities, scales) = source is QuantizedTensor quantized ? (quantized.Quantities, quantized.Scales) : Int8Quantization.Quantize(source);
        var (rows, length) = (source.Shape[0], source.Shape[1]);
        return (new PanelwiseTensor(quantities, PanelShape(rows, length), 2), new PanelwiseTensor(scales, ScaleShape(rows, length), 1));
    }

    /// <summary>What the metadata say of some matrices.</summary>
    public static string Describe(IEnumerable<KeyValuePair<string, StoredTensor>> matrices)
        => "{" + string.Join(",", matrices.Select(
            m => $"\"{JsonEncodedText.Encode(m.Key)}\":[{m.Value.Shape[0]},{m.Value.Shape[1]}]")) + "}";

    /// <summary>The same tensors, those that are stored so as matrices in float: <see cref="PanelTensor"/>.</summary>
    /// <param name="tensors">By state key.</param>
    /// <param name="metadata">Of their file.</param>
    /// <param name="path">What messages call it.</param>
    /// <exception cref="DataFormatException">The metadata promise matrices that are not there, or of another shape.</exception>
    public static IReadOnlyDictionary<string, StoredTensor> Merge(
        IReadOnlyDictionary<string, StoredTensor> tensors, IReadOnlyDictionary<string, string> metadata, string path)
    {
        if (!metadata.TryGetValue(MetadataKey, out var text))
        {
            return tensors;
        }

        var merged = new Dictionary<string, StoredTensor>(tensors);
        foreach (var (name, rows, length) in Shapes(text, path))
        {
            var panels = Take(merged, name + Suffix, ElementType.Int8, PanelShape(rows, length), path);
            var scales = Take(merged, name + ScaleSuffix, ElementType.Float32, ScaleShape(rows, length), path);
            if (!merged.TryAdd(name, new PanelTensor(panels, scales, rows, length)))
            {
                throw Bad(path, $"{StoredFile.Quote(name)} is there twice");
            }
        }

        return merged;
    }

    private static long Panels(long rows) => (rows + (2 * Columns) - 1) / (2 * Columns) * 2;

    private static StoredTensor Take(Dictionary<string, StoredTensor> tensors, string name, ElementType type, long[] shape, string path)
        => tensors.Remove(name, out var tensor) && tensor.Type == type && tensor.Shape.SequenceEqual(shape)
            ? tensor
            : throw Bad(
                path, $"{StoredFile.Quote(name)} is {(tensor is null ? "missing" : tensor.ToString())}, not {type} {HostTensor.Describe(shape)}");

    private static List<(string Name, long Rows, long Length)> Shapes(string text, string path)
    {
        try
        {
            using var json = JsonDocument.Parse(text);
            return [.. json.RootElement.EnumerateObject().Select(p => p.Value is { ValueKind: JsonValueKind.Array } shape
                && shape.GetArrayLength() == 2 && shape[0].TryGetInt32(out var rows) && shape[1].TryGetInt32(out var length) && rows > 0 && length > 0
                    ? (p.Name, (long)rows, (long)length)
                    : throw Bad(path, $"{StoredFile.Quote(p.Name)} has no two extents"))];
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw Bad(path, e.Message);
        }
    }

    private static DataFormatException Bad(string path, string problem)
        => new($"'{path}' does not hold the matrices in eight bits that its metadata promise ({MetadataKey}): {problem}; write it again.");

    /// <summary>Rows of bytes or scales, 32 of them in turn: [panels, columns / group, 32, group] of a matrix [rows, columns].</summary>
    private sealed class PanelwiseTensor(StoredTensor rows, long[] shape, int group) : StoredTensor(rows.Type, shape)
    {
        public override void CopyTo(long offset, Span<byte> destination)
        {
            var width = (int)rows.Shape[1] * Type.Size();
            var (source, panel) = (new byte[Columns * width], new byte[Shape[1] * Columns * group * Type.Size()]);
            while (!destination.IsEmpty)
            {
                var (index, skipped) = (offset / panel.Length, (int)(offset % panel.Length));
                var count = (int)Math.Clamp(rows.Shape[0] - (index * Columns), 0, Columns);
                rows.CopyTo(index * Columns * width, source.AsSpan(0, count * width));
                panel.AsSpan().Clear();
                if (Type == ElementType.Int8)
                {
                    Turn<byte>(source.AsSpan(0, count * width), panel, (int)rows.Shape[1]);
                }
                else
                {
                    Turn(
                        MemoryMarshal.Cast<byte, float>(source.AsSpan(0, count * width)), MemoryMarshal.Cast<byte, float>(panel.AsSpan()),
                        (int)rows.Shape[1]);
                }

                var taken = Math.Min(panel.Length - skipped, destination.Length);
                panel.AsSpan(skipped, taken).CopyTo(destination);
                destination = destination[taken..];
                offset += taken;
            }
        }

        private void Turn<T>(ReadOnlySpan<T> from, Span<T> to, int length)
        {
            for (var row = 0; row * length < from.Length; row++)
            {
                var own = from.Slice(row * length, length);
                for (var k = 0; k < own.Length; k++)
                {
                    to[(((k / group * Columns) + row) * group) + (k % group)] = own[k];
                }
            }
        }
    }
}
