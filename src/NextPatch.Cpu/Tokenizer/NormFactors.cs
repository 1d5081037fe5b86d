using System.Runtime.CompilerServices;
using NextPatch.Kernels.Simd;

namespace NextPatch.Cpu.Tokenizer;

/// <summary>What a measured norm does to each channel: x * scale + shift.</summary>
/// <param name="scales">[C].</param>
/// <param name="shifts">[C].</param>
internal readonly unsafe struct NormFactors(float[] scales, float[] shifts)
{
    /// <summary>Some pixels side by side.</summary>
    /// <param name="pixels">Their number.</param>
    /// <param name="from">[pixels, C].</param>
    /// <param name="withSilu">Whether SiLU follows.</param>
    /// <param name="to">[pixels, C].</param>
    /// <typeparam name="L">Channels computed at once.</typeparam>
    public void Apply<L>(int pixels, float* from, bool withSilu, float* to)
        where L : unmanaged, ISimd<L>
    {
        fixed (float* scale = scales, shift = shifts)
        {
            Apply<L>(pixels, scales.Length, from, scale, shift, withSilu, to);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Apply<L>(int pixels, int channels, float* from, float* scale, float* shift, bool withSilu, float* to)
        where L : unmanaged, ISimd<L>
    {
        for (var x = 0; x < pixels; x++, from += channels, to += channels)
        {
            for (var c = 0; c < channels; c += L.Count)
            {
                var v = L.MultiplyAdd(L.Load(from + c), L.Load(scale + c), L.Load(shift + c));
                L.Store(to + c, withSilu ? v / (Exponential.Evaluate(-v) + L.Create(1)) : v);
            }
        }
    }
}
