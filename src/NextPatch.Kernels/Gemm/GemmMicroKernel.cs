using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace NextPatch.Kernels.Gemm;

/// <summary>The innermost part of a matrix product: twelve rows of 32 columns, whose 24 sums stay in the 32 registers of AVX-512.</summary>
/// <remarks>Three times what hides the latency of two multiply-adds a cycle, so that fourteen loads for 24 of them do not hold them up.</remarks>
internal static unsafe class GemmMicroKernel
{
    /// <summary>Rows of a tile.</summary>
    public const int Rows = 12;

    /// <summary>Columns of a tile.</summary>
    public const int Columns = 32;

    /// <param name="depth">Length of the sums.</param>
    /// <param name="left">[depth, Rows].</param>
    /// <param name="right">[depth, Columns].</param>
    /// <param name="result">[Rows, Columns].</param>
    /// <param name="stride">Distance of the result's rows.</param>
    /// <param name="add">Whether to add to the result.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply(int depth, float* left, float* right, float* result, nint stride, bool add)
    {
        Vector512<float> a0 = default, a1 = default, b0 = default, b1 = default, c0 = default, c1 = default, d0 = default, d1 = default, e0 = default,
            e1 = default, f0 = default, f1 = default;
        Vector512<float> g0 = default, g1 = default, h0 = default, h1 = default, i0 = default, i1 = default, j0 = default, j1 = default, k0 = default,
            k1 = default, l0 = default, l1 = default;
        for (var row = 0; row < Rows; row++)
        {
            Sse.Prefetch0(result + (row * stride));
            Sse.Prefetch0(result + (row * stride) + 16);
        }

        for (var end = right + ((nint)depth * Columns); right < end; left += Rows, right += Columns)
        {
            var (r0, r1) = (Vector512.Load(right), Vector512.Load(right + 16));
            var x = Vector512.Create(left[0]);
            (a0, a1) = (Vector512.FusedMultiplyAdd(x, r0, a0), Vector512.FusedMultiplyAdd(x, r1, a1));
            x = Vector512.Create(left[1]);
            (b0, b1) = (Vector512.FusedMultiplyAdd(x, r0, b0), Vector512.FusedMultiplyAdd(x, r1, b1));
            x = Vector512.Create(left[2]);
            (c0, c1) = (Vector512.FusedMultiplyAdd(x, r0, c0), Vector512.FusedMultiplyAdd(x, r1, c1));
            x = Vector512.Create(left[3]);
            (d0, d1) = (Vector512.FusedMultiplyAdd(x, r0, d0), Vector512.FusedMultiplyAdd(x, r1, d1));
            x = Vector512.Create(left[4]);
            (e0, e1) = (Vector512.FusedMultiplyAdd(x, r0, e0), Vector512.FusedMultiplyAdd(x, r1, e1));
            x = Vector512.Create(left[5]);
            (f0, f1) = (Vector512.FusedMultiplyAdd(x, r0, f0), Vector512.FusedMultiplyAdd(x, r1, f1));
            x = Vector512.Create(left[6]);
            (g0, g1) = (Vector512.FusedMultiplyAdd(x, r0, g0), Vector512.FusedMultiplyAdd(x, r1, g1));
            x = Vector512.Create(left[7]);
            (h0, h1) = (Vector512.FusedMultiplyAdd(x, r0, h0), Vector512.FusedMultiplyAdd(x, r1, h1));
            x = Vector512.Create(left[8]);
            (i0, i1) = (Vector512.FusedMultiplyAdd(x, r0, i0), Vector512.FusedMultiplyAdd(x, r1, i1));
            x = Vector512.Create(left[9]);
            (j0, j1) = (Vector512.FusedMultiplyAdd(x, r0, j0), Vector512.FusedMultiplyAdd(x, r1, j1));
            x = Vector512.Create(left[10]);
            (k0, k1) = (Vector512.FusedMultiplyAdd(x, r0, k0), Vector512.FusedMultiplyAdd(x, r1, k1));
            x = Vector512.Create(left[11]);
            (l0, l1) = (Vector512.FusedMultiplyAdd(x, r0, l0), Vector512.FusedMultiplyAdd(x, r1, l1));
        }

        Put(result, a0, a1, add);
        Put(result + stride, b0, b1, add);
        Put(result + (2 * stride), c0, c1, add);
        Put(result + (3 * stride), d0, d1, add);
        Put(result + (4 * stride), e0, e1, add);
        Put(result + (5 * stride), f0, f1, add);
        Put(result + (6 * stride), g0, g1, add);
        Put(result + (7 * stride), h0, h1, add);
        Put(result + (8 * stride), i0, i1, add);
        Put(result + (9 * stride), j0, j1, add);
        Put(result + (10 * stride), k0, k1, add);
        Put(result + (11 * stride), l0, l1, add);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put(float* to, Vector512<float> v0, Vector512<float> v1, bool add)
    {
        (add ? v0 + Vector512.Load(to) : v0).Store(to);
        (add ? v1 + Vector512.Load(to + 16) : v1).Store(to + 16);
    }
}
