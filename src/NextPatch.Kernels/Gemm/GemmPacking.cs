using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace NextPatch.Kernels.Gemm;

/// <summary>Copies parts of a matrix into the order in which <see cref="GemmMicroKernel"/> reads them.</summary>
internal static unsafe class GemmPacking
{
    private const int DepthAtOnce = 64;

    /// <summary>Element (lane, k) goes to k * <paramref name="width"/> + lane; lanes that are missing become zeros.</summary>
    /// <param name="lanes">[lanes, depth]; one of its strides is 1.</param>
    /// <param name="width">Lanes of a panel, a multiple of 4 and at least those that there are.</param>
    /// <param name="panel">[depth, width].</param>
    public static void Copy(MatrixView<float> lanes, int width, float* panel)
    {
        if (lanes.Rows < width)
        {
            new Span<float>(panel, lanes.Columns * width).Clear();
        }

        if (lanes.RowStride == 1)
        {
            for (var k = 0; k < lanes.Columns; k++)
            {
                Copy(lanes.Start + (k * lanes.ColumnStride), lanes.Rows, panel + (k * width));
            }
        }
        else
        {
            Transpose(lanes, width, panel);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Copy(float* from, int count, float* to)
    {
        var i = 0;
        for (; i <= count - 16; i += 16)
        {
            Vector512.Load(from + i).Store(to + i);
        }

        for (; i <= count - 4; i += 4)
        {
            Vector128.Load(from + i).Store(to + i);
        }

        for (; i < count; i++)
        {
            to[i] = from[i];
        }
    }

    /// <summary>
    /// <see cref="Copy(MatrixView{float}, int, float*)"/> for lanes whose elements of equal k do not lie next to each other; missing lanes stay as
    /// they are.
    /// </summary>
    public static void Transpose(MatrixView<float> lanes, int width, float* panel)
    {
        // What all lanes write must stay in the first-level cache: every one fills a part of the same lines.
        for (var k = 0; k < lanes.Columns; k += DepthAtOnce)
        {
            TransposeBlock(lanes.SliceColumns(k, Math.Min(DepthAtOnce, lanes.Columns - k)), width, panel + ((nint)k * width));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void TransposeBlock(MatrixView<float> lanes, int width, float* panel)
    {
        var lane = 0;
        for (; Sse.IsSupported && lane <= lanes.Rows - 4; lane += 4)
        {
            float* a = lanes.Start + (lane * lanes.RowStride), b = a + lanes.RowStride, c = b + lanes.RowStride, d = c + lanes.RowStride,
                to = panel + lane;
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
