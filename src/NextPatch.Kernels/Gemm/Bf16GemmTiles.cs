using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using NextPatch.Kernels.Simd;

namespace NextPatch.Kernels.Gemm;

/// <summary>
/// Products in bfloat16 with sums in float. .NET has no instruction for them yet; the innermost part is the one of oneDNN that libtorch's own
/// attention uses (at::native::cpublas::brgemm), which takes the right factor with pairs of rows interleaved and reaches the processor's peak.
/// </summary>
internal readonly unsafe struct Bf16GemmTiles : IGemmTiles<Bf16>
{
    /// <summary>Pairs of k that are transposed at a time; with the rows of a task they stay in the first-level cache.</summary>
    private const int PairsAtOnce = 16;

    /// <summary>
    /// libtorch's at::native::cpublas::brgemm of bfloat16 matrices (ATen/native/CPUBlas.h, exported): m, n, k, distances of rows of the three
    /// matrices, whether to add, their addresses, whether pairs of rows of the right one are interleaved. Given by what loads libtorch; 0 without it.
    /// </summary>
    public static nint Brgemm { get; set; }

    /// <summary>Whether libtorch has the innermost part for this processor: asked where it lacks what it needs, it would end the process.</summary>
    public static bool IsSupported => HasInstructions && Brgemm != 0;

    public static int Columns => 64;

    public static int RowUnit => 8;

    public static int DepthUnit => 2;

    /// <summary>A panel then takes 128 KiB of the second-level cache.</summary>
    public static int BlockDepth => 1024;

    public static int LongestDepth => 4096;

    public static int LeftStep => 1;

    /// <summary>
    /// CPUID leaf 7, sub-leaf 1, EAX bit 5: AVX512_BF16 (AMD's and Intel's manuals). Who limits oneDNN's instructions may have taken it away.
    /// </summary>
    public static bool HasInstructions { get; } = Avx512F.IsSupported && X86Base.CpuId(0, 0).Eax >= 7 && (X86Base.CpuId(7, 1).Eax & (1 << 5)) != 0
        && Environment.GetEnvironmentVariable("ONEDNN_MAX_CPU_ISA") is null && Environment.GetEnvironmentVariable("DNNL_MAX_CPU_ISA") is null;

    public static void PackRight(MatrixView<Bf16> right, Bf16* panel)
    {
        if (right.ColumnStride == 1)
        {
            Interleave(right, Columns, (uint*)panel);
        }
        else if (right.Rows % 2 == 0 && right.ColumnStride % 2 == 0)
        {
            var pairs = new MatrixView<float>((float*)right.Start, right.Columns, right.Rows / 2, right.ColumnStride / 2);
            GemmPacking.Transpose(pairs, Columns, (float*)panel);
        }
        else
        {
            for (var k = 0; k < (right.Rows + 1) / 2 * 2; k++)
            {
                for (var j = 0; j < right.Columns; j++)
                {
                    panel[(((k / 2 * Columns) + j) * 2) + (k % 2)] = k < right.Rows
                        ? right.Start[(k * right.RowStride) + (j * right.ColumnStride)]
                        : default;
                }
            }
        }
    }

    /// <summary>An odd number of cache lines: a power of two would put the rows into few sets of the first-level cache.</summary>
    public static int LeftRoom(int depth) => (((depth + 31) / 32) | 1) * 32;

    /// <returns>Rows as they lie where neighbours of a row lie next to each other.</returns>
    public static Bf16* PackLeft(MatrixView<Bf16> left, Bf16* room, out nint stride)
    {
        if (left.ColumnStride == 1 && left.Columns % 2 == 0)
        {
            stride = left.RowStride;
            return left.Start;
        }

        stride = LeftRoom(left.Columns);
        if (left.ColumnStride == 1)
        {
            for (var row = 0; row < left.Rows; row++)
            {
                new ReadOnlySpan<Bf16>(left.Start + (row * left.RowStride), left.Columns).CopyTo(new Span<Bf16>(room + (row * stride), left.Columns));
                room[(row * stride) + left.Columns] = default;
            }

            return room;
        }

        var pairs = stackalloc uint[PairsAtOnce * left.Rows];
        for (var k = 0; k < left.Columns; k += 2 * PairsAtOnce)
        {
            var columns = left.SliceColumns(k, Math.Min(2 * PairsAtOnce, left.Columns - k));
            Interleave(columns.Transposed, left.Rows, pairs);
            GemmPacking.Transpose(
                new MatrixView<float>((float*)pairs, (columns.Columns + 1) / 2, left.Rows, left.Rows), (int)stride / 2, (float*)(room + k));
        }

        return room;
    }

    public static void Multiply(
        (int Rows, int Columns, int Depth) size, Bf16* left, nint leftStride, Bf16* right, float* result, nint stride, bool add)
        => ((delegate* unmanaged[Cdecl]<long, long, long, long, long, long, byte, void*, void*, float*, byte, void>)Brgemm)(
            size.Rows, size.Columns, size.Depth, leftStride, Columns, stride, add ? (byte)1 : (byte)0, left, right, result, 1);

    /// <summary>Pairs of rows side by side: the even one's elements in the low halves, the odd one's, or zeros, in the high ones.</summary>
    private static void Interleave(MatrixView<Bf16> rows, int width, uint* to)
    {
        for (var row = 0; row < rows.Rows; row += 2, to += width)
        {
            var low = (ushort*)(rows.Start + (row * rows.RowStride));
            Interleave(low, row + 1 < rows.Rows ? low + rows.RowStride : null, rows.Columns, to);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Interleave(ushort* low, ushort* high, int count, uint* to)
    {
        var i = 0;
        for (; high != null && i <= count - 16; i += 16)
        {
            var upper = Avx512F.ConvertToVector512UInt32(Vector256.Load(high + i)) << 16;
            (Avx512F.ConvertToVector512UInt32(Vector256.Load(low + i)) | upper).Store(to + i);
        }

        for (; i < count; i++)
        {
            to[i] = low[i] | (high == null ? 0 : (uint)high[i] << 16);
        }
    }
}
