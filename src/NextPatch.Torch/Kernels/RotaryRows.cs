using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace NextPatch.Torch.Kernels;

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
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Rotate<TFrom, TTo>(int token, TFrom* from, TTo* to, float scale, float direction)
        where TFrom : unmanaged, IElement<TFrom>
        where TTo : unmanaged, IElement<TTo>
    {
        fixed (float* cosines = &_cosines[token * _width], sines = &_sines[token * _width])
        {
            var d = 0;
            for (; d <= _width - 8; d += 8)
            {
                var x = TFrom.Load(from + d);
                TTo.Store(to + d, ((x * Vector256.Load(cosines + d)) + (Vector256.Shuffle(x, Vector256.Create(1, 0, 3, 2, 5, 4, 7, 6)) * Vector256.Load(sines + d) * direction)) * scale);
            }

            for (; d < _width; d++)
            {
                to[d] = TTo.Narrow(((TFrom.Widen(from[d]) * cosines[d]) + (TFrom.Widen(from[d ^ 1]) * sines[d] * direction)) * scale);
            }
        }
    }
}
