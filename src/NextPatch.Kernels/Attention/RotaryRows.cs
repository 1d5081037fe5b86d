using System.Runtime.CompilerServices;
using NextPatch.Kernels.Simd;

namespace NextPatch.Kernels.Attention;

// Shape letters: N tokens, D head width.

/// <summary>The rotary factors of a grid laid out for vectors: each cosine twice, each sine with the sign it takes, float [N, D].</summary>
internal sealed unsafe class RotaryRows
{
    private readonly float[] _cosines;
    private readonly float[] _sines;
    private readonly int _width;

    /// <param name="table">Cosine and sine of each pair, [N or more, D/2, 2].</param>
    /// <param name="width">D.</param>
    public RotaryRows(float[] table, int width)
    {
        _width = width;
        _cosines = new float[table.Length];
        _sines = new float[table.Length];
        for (var i = 0; i < table.Length; i += 2)
        {
            (_cosines[i], _cosines[i + 1]) = (table[i], table[i]);
            (_sines[i], _sines[i + 1]) = (-table[i + 1], table[i + 1]);
        }
    }

    /// <summary>Rotates the pairs of one head of one token, or turns a gradient back, and scales.</summary>
    /// <param name="token">Position in the sequence, the class token included.</param>
    /// <param name="from">[D].</param>
    /// <param name="to">[D]; not <paramref name="from"/>.</param>
    /// <param name="scale">Factor on the result.</param>
    /// <param name="direction">1 = forward, -1 = back.</param>
    /// <typeparam name="TFrom">Type of <paramref name="from"/>.</typeparam>
    /// <typeparam name="TTo">Type of <paramref name="to"/>.</typeparam>
    /// <typeparam name="L">Values computed at once; those that remain are done one by one.</typeparam>
    public void Rotate<TFrom, TTo, L>(int token, TFrom* from, TTo* to, float scale, float direction)
        where TFrom : unmanaged, IElement<TFrom>
        where TTo : unmanaged, IElement<TTo>
        where L : unmanaged, ISimd<L>
    {
        fixed (float* cosines = &_cosines[token * _width], sines = &_sines[token * _width])
        {
            Rotate<TFrom, TTo, L>(0, _width, from, to, cosines, sines, scale, direction);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rotate<TFrom, TTo, L>(int d, int width, TFrom* from, TTo* to, float* cosines, float* sines, float scale, float direction)
        where TFrom : unmanaged, IElement<TFrom>
        where TTo : unmanaged, IElement<TTo>
        where L : unmanaged, ISimd<L>
    {
        for (; d <= width - L.Count; d += L.Count)
        {
            var x = TFrom.Load<L>(from + d);
            var partners = L.Count == 1 ? TFrom.Load<L>(from + (d ^ 1)) : L.SwapPairs(x);
            TTo.Store(to + d, ((x * L.Load(cosines + d)) + (partners * L.Load(sines + d) * L.Create(direction))) * L.Create(scale));
        }

        if (d < width)
        {
            Rotate<TFrom, TTo, Simd1>(d, width, from, to, cosines, sines, scale, direction);
        }
    }
}
