using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using NextPatch.Torch.Loading;

namespace NextPatch.Torch.Kernels;

/// <summary>
/// Products in bfloat16 with sums in float. .NET has no instruction for them yet; the innermost part is the one of oneDNN that libtorch's own attention
/// uses (at::native::cpublas::brgemm), which takes the right factor with pairs of rows interleaved and reaches the processor's peak.
/// </summary>
internal readonly unsafe struct BFloat16Tiles : IProductTiles<BFloat16>
{
    /// <summary>Pairs of k that are transposed at a time; with the rows of a task they stay in the first-level cache.</summary>
    private const int PairsAtOnce = 16;

    /// <summary>Whether libtorch has the innermost part for this processor: asked where it lacks what it needs, it would end the process.</summary>
    public static bool IsSupported { get; } = HasInstructions() && NativeBackend.BFloat16Product != 0
        && Environment.GetEnvironmentVariable("ONEDNN_MAX_CPU_ISA") is null && Environment.GetEnvironmentVariable("DNNL_MAX_CPU_ISA") is null;

    public static int Columns => 64;

    public static int RowUnit => 8;

    public static int DepthUnit => 2;

    /// <summary>A panel then takes 128 KiB of the second-level cache.</summary>
    public static int BlockDepth => 1024;

    public static int LongestDepth => 4096;

    /// <summary>A power of two would put the rows into few sets of the first-level cache.</summary>
    public static int LeftStride(int depth) => ((depth + 31) / 32 * 32) + 32;

    public static void PackRight(MatrixView<BFloat16> right, BFloat16* panel)
    {
        if (right.ColumnStride == 1)
        {
            for (var k = 0; k < right.Rows; k += 2)
            {
                var row = (ushort*)right.Start + (k * right.RowStride);
                Interleave(row, k + 1 < right.Rows ? row + right.RowStride : null, right.Columns, (uint*)panel + (k / 2 * Columns));
            }
        }
        else if (right.Rows % 2 == 0 && right.ColumnStride % 2 == 0)
        {
            var pairs = new MatrixView<float>((float*)right.Start, right.Columns, right.Rows / 2, right.ColumnStride / 2);
            MatrixPanels.Transpose(pairs, Columns, (float*)panel);
        }
        else
        {
            for (var k = 0; k < right.Rows; k++)
            {
                for (var j = 0; j < right.Columns; j++)
                {
                    panel[(k / 2 * 2 * Columns) + (2 * j) + (k % 2)] = right.Start[(k * right.RowStride) + (j * right.ColumnStride)];
                    if (k == right.Rows - 1 && k % 2 == 0)
                    {
                        panel[(k * Columns) + (2 * j) + 1] = default;
                    }
                }
            }
        }
    }

    /// <returns>Rows as they lie where neighbours of a row lie next to each other.</returns>
    public static (nint Start, nint Stride) PackLeft(MatrixView<BFloat16> left, BFloat16* room)
    {
        if (left.ColumnStride == 1 && left.Columns % 2 == 0)
        {
            return ((nint)left.Start, left.RowStride);
        }

        var stride = LeftStride(left.Columns);
        if (left.ColumnStride == 1)
        {
            for (var row = 0; row < left.Rows; row++)
            {
                new ReadOnlySpan<BFloat16>(left.Start + (row * left.RowStride), left.Columns).CopyTo(new Span<BFloat16>(room + (row * stride), left.Columns));
                room[(row * stride) + left.Columns] = default;
            }
        }
        else
        {
            var pairs = stackalloc uint[PairsAtOnce * left.Rows];
            for (var k = 0; k < left.Columns; k += 2 * PairsAtOnce)
            {
                var count = Math.Min(PairsAtOnce, (left.Columns - k + 1) / 2);
                for (var pair = 0; pair < count; pair++)
                {
                    var first = (ushort*)left.Start + ((k + (2 * pair)) * left.ColumnStride);
                    Interleave(first, k + (2 * pair) + 1 < left.Columns ? first + left.ColumnStride : null, left.Rows, pairs + (pair * left.Rows));
                }

                MatrixPanels.Transpose(new MatrixView<float>((float*)pairs, count, left.Rows, left.Rows), (int)stride / 2, (float*)(room + k));
            }
        }

        return ((nint)room, stride);
    }

    public static void Multiply((int Rows, int Columns, int Depth) size, (nint Start, nint Stride) left, int k, BFloat16* panel, float* result, nint stride, bool add)
        => ((delegate* unmanaged[Cdecl]<long, long, long, long, long, long, byte, void*, void*, float*, byte, void>)NativeBackend.BFloat16Product)(
            size.Rows, size.Columns, size.Depth, left.Stride, Columns, stride, add ? (byte)1 : (byte)0, (BFloat16*)left.Start + k, panel, result, 1);

    /// <summary>Element i of the result: low half from the first row, high half from the second, or zero.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Interleave(ushort* first, ushort* second, int count, uint* to)
    {
        var i = 0;
        for (; second != null && i <= count - 16; i += 16)
        {
            var high = Avx512F.ConvertToVector512UInt32(Vector256.Load(second + i)) << 16;
            (Avx512F.ConvertToVector512UInt32(Vector256.Load(first + i)) | high).Store(to + i);
        }

        for (; i < count; i++)
        {
            to[i] = first[i] | (second == null ? 0 : (uint)second[i] << 16);
        }
    }

    /// <summary>CPUID leaf 7, sub-leaf 1, EAX bit 5: AVX512_BF16 (AMD's and Intel's manuals).</summary>
    private static bool HasInstructions() => Avx512F.IsSupported && X86Base.CpuId(0, 0).Eax >= 7 && (X86Base.CpuId(7, 1).Eax & (1 << 5)) != 0;
}
