using System.Runtime.CompilerServices;
using NextPatch.Kernels.Simd;

namespace NextPatch.Kernels.Elementwise;

/// <summary>
/// What generation does to single rows between products. Rows are filled up to whole vectors, so nothing remains to be done one by one, and bits do
/// not depend on the width of vectors.
/// </summary>
/// <typeparam name="L">Values computed at once.</typeparam>
internal static unsafe class RowKernel<L>
    where L : unmanaged, ISimd<L>
{
    /// <summary>The length of a row in memory: a multiple of what all vectors divide.</summary>
    public static int Padded(int width) => (width + FixedSum.Parts - 1) / FixedSum.Parts * FixedSum.Parts;

    /// <summary>normed = x / rms(x) * weight; zeros behind the width.</summary>
    /// <param name="width">Values of a row.</param>
    /// <param name="x">[padded width], zeros behind the width.</param>
    /// <param name="weight">The same.</param>
    /// <param name="epsilon">Added to the mean square.</param>
    /// <param name="normed">[padded width].</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Norm(int width, float* x, float* weight, float epsilon, float* normed)
    {
        var padded = Padded(width);
        var inverse = L.Create(1 / MathF.Sqrt((FixedSum.OfSquares<L>(padded, x) / width) + epsilon));
        for (var c = 0; c < padded; c += L.Count)
        {
            L.Store(normed + c, L.Load(x + c) * inverse * L.Load(weight + c));
        }
    }

    /// <summary>hidden = silu(gate) * up.</summary>
    /// <param name="count">A multiple of 16.</param>
    /// <param name="gate">[count].</param>
    /// <param name="up">[count].</param>
    /// <param name="hidden">[count].</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void SwiGlu(int count, float* gate, float* up, float* hidden)
    {
        for (var c = 0; c < count; c += L.Count)
        {
            var g = L.Load(gate + c);
            L.Store(hidden + c, g / (Exponential.Evaluate(-g) + L.Create(1)) * L.Load(up + c));
        }
    }

    /// <summary>sum += values.</summary>
    /// <param name="count">A multiple of 16.</param>
    /// <param name="values">[count].</param>
    /// <param name="sum">[count].</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Add(int count, float* values, float* sum)
    {
        for (var c = 0; c < count; c += L.Count)
        {
            L.Store(sum + c, L.Load(sum + c) + L.Load(values + c));
        }
    }
}
