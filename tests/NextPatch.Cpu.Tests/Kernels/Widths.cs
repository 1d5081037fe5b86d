using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;
using NextPatch.Kernels.Simd;

namespace NextPatch.Cpu.Tests.Kernels;

/// <summary>A computation with vectors of any width.</summary>
internal interface IComputation
{
    float[] Run<L>()
        where L : unmanaged, ISimd<L>;
}

internal static class Widths
{
    /// <summary>Whether all widths round multiply-add once, as they must for equal bits.</summary>
    public static bool AreFused => Fma.IsSupported || AdvSimd.IsSupported;

    /// <summary>Runs with every width that this processor has; the plain one comes first and judges the others, bit by bit.</summary>
    /// <returns>The plain result.</returns>
    public static float[] AssertSame(IComputation computation)
    {
        var plain = computation.Run<Simd1>();
        List<float[]> others = [computation.Run<Simd4>(), computation.Run<Simd8>()];
        if (Avx512F.IsSupported)
        {
            others.Add(computation.Run<Simd16>());
        }

        Assert.All(others, other => AssertSame(plain, other));
        return plain;
    }

    /// <param name="expected">Bits, where all widths round multiply-add once.</param>
    /// <param name="actual">The same.</param>
    /// <param name="roundedTwice">How far they may be apart where some round it twice.</param>
    public static void AssertSame(float[] expected, float[] actual, double roundedTwice = 1e-5)
    {
        if (AreFused)
        {
            Assert.Equal(expected.Select(BitConverter.SingleToInt32Bits), actual.Select(BitConverter.SingleToInt32Bits));
        }
        else
        {
            AssertClose(expected, actual, roundedTwice);
        }
    }

    public static void AssertClose(IReadOnlyList<float> expected, IReadOnlyList<float> actual, double tolerance)
    {
        Assert.Equal(expected.Count, actual.Count);
        var scale = 1 + expected.Max(v => Math.Abs((double)v));
        Assert.All(expected.Zip(actual), p => Assert.InRange((double)p.Second - p.First, -tolerance * scale, tolerance * scale));
    }
}
