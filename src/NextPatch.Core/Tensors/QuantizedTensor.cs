using System.Runtime.InteropServices;

namespace NextPatch.Core.Tensors;

/// <summary>A matrix that is stored in whole numbers and scales (<see cref="Int8Quantization"/>), seen in float32.</summary>
/// <param name="quantities">int8 [N, K].</param>
/// <param name="scales">float32 [N, blocks].</param>
internal sealed class QuantizedTensor(StoredTensor quantities, StoredTensor scales) : StoredTensor(ElementType.Float32, quantities.Shape)
{
    public StoredTensor Quantities => quantities;

    public StoredTensor Scales => scales;

    private int Length => (int)Shape[1];

    private int Blocks => Int8Quantization.Blocks(Length);

    /// <summary>A row as it is stored.</summary>
    public void ReadRow(long row, Span<sbyte> values, Span<float> blockScales)
    {
        quantities.CopyTo(row * Length, MemoryMarshal.AsBytes(values));
        scales.CopyTo(row * Blocks * sizeof(float), MemoryMarshal.AsBytes(blockScales));
    }

    public override void CopyTo(long offset, Span<byte> destination)
    {
        var to = MemoryMarshal.Cast<byte, float>(destination);
        var (values, blockScales) = (new sbyte[Length], new float[Blocks]);
        for (var first = offset / sizeof(float); !to.IsEmpty;)
        {
            var (row, skipped) = (first / Length, (int)(first % Length));
            ReadRow(row, values, blockScales);
            var count = Math.Min(Length - skipped, to.Length);
            for (var i = 0; i < count; i++)
            {
                to[i] = values[skipped + i] * blockScales[(skipped + i) / Int8Quantization.BlockLength];
            }

            to = to[count..];
            first += count;
        }
    }
}
