using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace NextPatch.Torch.Kernels;

/// <summary>Copies parts of a matrix into the order in which <see cref="PanelTile"/> reads them.</summary>
internal static unsafe class MatrixPanels
{
    /// <summary>Element (lane, k) goes to k * <paramref name="width"/> + lane; lanes that are missing become zeros.</summary>
    /// <param name="lanes">[lanes, depth]; one of its strides is 1.</param>
    /// <param name="width">Lanes of a panel, a multiple of 4 and at least those that there are.</param>
    /// <param name="panel">[depth, width].</param>
    public static void Copy(MatrixView lanes, int width, float* panel)
    {
        if (lanes.Rows < width)
        {
            new Span<float>(panel, lanes.Columns * width).Clear();
        }

        if (lanes.RowStride == 1)
        {
            for (var k = 0; k < lanes.Columns; k++)
            {
                new ReadOnlySpan<float>(lanes.Start + (k * lanes.ColumnStride), lanes.Rows).CopyTo(new Span<float>(panel + (k * width), lanes.Rows));
            }
        }
        else
        {
            Transpose(lanes, width, panel);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Transpose(MatrixView lanes, int width, float* panel)
    {
        var lane = 0;
        for (; Sse.IsSupported && lane <= lanes.Rows - 4; lane += 4)
        {
            float* a = lanes.Start + (lane * lanes.RowStride), b = a + lanes.RowStride, c = b + lanes.RowStride, d = c + lanes.RowStride, to = panel + lane;
            var k = 0;
            for (; k <= lanes.Columns - 4; k += 4, to += 4 * width)
            {
                var (a4, b4, c4, d4) = (Vector128.Load(a + k), Vector128.Load(b + k), Vector128.Load(c + k), Vector128.Load(d + k));
                var (abLow, cdLow, abHigh, cdHigh) = (Sse.UnpackLow(a4, b4), Sse.UnpackLow(c4, d4), Sse.UnpackHigh(a4, b4), Sse.UnpackHigh(c4, d4));
                Sse.MoveLowToHigh(abLow, cdLow).Store(to);
                Sse.MoveHighToLow(cdLow, abLow).Store(to + width);
                Sse.MoveLowToHigh(abHigh, cdHigh).Store(to + (2 * width));
                Sse.MoveHighToLow(cdHigh, abHigh).Store(to + (3 * width));
            }

            for (; k < lanes.Columns; k++, to += width)
            {
                (to[0], to[1], to[2], to[3]) = (a[k], b[k], c[k], d[k]);
            }
        }

        for (; lane < lanes.Rows; lane++)
        {
            for (var k = 0; k < lanes.Columns; k++)
            {
                panel[(k * width) + lane] = lanes.Start[(lane * lanes.RowStride) + k];
            }
        }
    }
}
