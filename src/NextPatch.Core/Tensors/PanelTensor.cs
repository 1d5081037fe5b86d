using System.Runtime.InteropServices;

namespace NextPatch.Core.Tensors;

/// <summary>A matrix that is stored in panels of whole numbers (<see cref="Int8Panels"/>), seen in float32.</summary>
/// <param name="panels">int8 [P, K / 2, 32, 2].</param>
/// <param name="scales">float32 [P, blocks, 32].</param>
/// <param name="rows">N.</param>
/// <param name="length">K.</param>
internal sealed class PanelTensor(StoredTensor panels, StoredTensor scales, long rows, long length)
    : StoredTensor(ElementType.Float32, [rows, length])
{
    public StoredTensor Panels => panels;

    public StoredTensor Scales => scales;

    public override void CopyTo(long offset, Span<byte> destination)
    {
        var to = MemoryMarshal.Cast<byte, float>(destination);
        var width = (int)Shape[1];
        var blocks = (int)scales.Shape[1];
        var (values, factors) = (new sbyte[panels.Shape[1] * 2 * Int8Panels.Columns], new float[blocks * Int8Panels.Columns]);
        var panel = -1L;
        for (var first = offset / sizeof(float); !to.IsEmpty;)
        {
            var (row, skipped) = (first / width, (int)(first % width));
            if (row / Int8Panels.Columns != panel)
            {
                panel = row / Int8Panels.Columns;
                panels.CopyTo(panel * values.Length, MemoryMarshal.AsBytes(values.AsSpan()));
                scales.CopyTo(panel * factors.Length * sizeof(float), MemoryMarshal.AsBytes(factors.AsSpan()));
            }

            var column = (int)(row % Int8Panels.Columns);
            var count = Math.Min(width - skipped, to.Length);
            for (var i = 0; i < count; i++)
            {
                var k = skipped + i;
                to[i] = values[(((k / 2 * Int8Panels.Columns) + column) * 2) + (k % 2)]
                    * factors[(k / Int8Quantization.BlockLength * Int8Panels.Columns) + column];
            }

            to = to[count..];
            first += count;
        }
    }
}
