using System.Runtime.CompilerServices;
using NextPatch.Kernels.Simd;

namespace NextPatch.Kernels.Attention;

// Shape letters: S positions in the cache, D head width, P positions of a block.

/// <summary>
/// Attention of one query to the keys and values of one head in a cache. Keys lie in blocks [D, P], so that a vector holds positions and no sum runs
/// across lanes; values lie [S, D]. Bits do not depend on the width of vectors.
/// </summary>
/// <typeparam name="L">Values computed at once.</typeparam>
/// <typeparam name="T">Keys and values as they are kept.</typeparam>
internal static unsafe class CachedAttention<L, T>
    where L : unmanaged, ISimd<L>
    where T : unmanaged, IElement<T>
{
    /// <summary>P: two of the widest vectors.</summary>
    public const int Block = 32;

    /// <summary>Positions in memory for so many in use; scores take as many.</summary>
    public static int Padded(int positions) => (positions + Block - 1) / Block * Block;

    /// <summary>Elements that the cache of one head takes.</summary>
    /// <param name="capacity">Largest S.</param>
    /// <param name="width">D.</param>
    public static nint Elements(int capacity, int width) => (nint)Padded(capacity) * (width + Padded(width));

    /// <summary>Puts a position into the cache.</summary>
    /// <param name="capacity">Largest S.</param>
    /// <param name="width">D.</param>
    /// <param name="position">Its index.</param>
    /// <param name="key">[D], rotated.</param>
    /// <param name="value">[D].</param>
    /// <param name="cache">The head's part.</param>
    public static void Append(int capacity, int width, int position, float* key, float* value, T* cache)
    {
        var keys = cache + ((nint)(position / Block) * Block * width) + (position % Block);
        var values = cache + ((nint)Padded(capacity) * width) + ((nint)position * Padded(width));
        for (var d = 0; d < width; d++)
        {
            T.Store(keys + (d * Block), new Simd1(key[d]));
            T.Store(values + d, new Simd1(value[d]));
        }
    }

    /// <summary>mixed = softmax(q K) V.</summary>
    /// <param name="capacity">Largest S.</param>
    /// <param name="width">D, an even number.</param>
    /// <param name="positions">S.</param>
    /// <param name="query">[D], rotated and scaled.</param>
    /// <param name="cache">The head's part.</param>
    /// <param name="scores">Room for <see cref="Padded"/> S floats.</param>
    /// <param name="mixed">[padded D].</param>
    /// <param name="firstScore">Added to the score of position 0: ln n where it stands for n positions with the same key.</param>
    public static void Attend(
        int capacity, int width, int positions, float* query, T* cache, float* scores, float* mixed, float firstScore = 0)
    {
        Scores(width, positions, query, cache, scores);
        scores[0] += firstScore;
        var inverse = Softmax(positions, scores);
        Mix(Padded(width), positions, scores, cache + ((nint)Padded(capacity) * width), inverse, mixed);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Scores(int width, int positions, float* query, T* keys, float* scores)
    {
        for (var position = 0; position < positions; position += Block, keys += Block * width)
        {
            for (var j = 0; j < Block; j += 2 * L.Count)
            {
                L even0 = default, even1 = default, odd0 = default, odd1 = default;
                var key = keys + j;
                for (var d = 0; d < width; d += 2, key += 2 * Block)
                {
                    var q = L.Create(query[d]);
                    even0 = L.MultiplyAdd(q, T.Load<L>(key), even0);
                    even1 = L.MultiplyAdd(q, T.Load<L>(key + L.Count), even1);
                    q = L.Create(query[d + 1]);
                    odd0 = L.MultiplyAdd(q, T.Load<L>(key + Block), odd0);
                    odd1 = L.MultiplyAdd(q, T.Load<L>(key + Block + L.Count), odd1);
                }

                L.Store(scores + position + j, even0 + odd0);
                L.Store(scores + position + j + L.Count, even1 + odd1);
            }
        }
    }

    /// <summary>Replaces scores by exponentials, zeros behind them.</summary>
    /// <returns>1 / their sum.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Softmax(int positions, float* scores)
    {
        var padded = Padded(positions);
        new Span<float>(scores + positions, padded - positions).Fill(float.NegativeInfinity);
        var maxima = L.Load(scores);
        for (var i = L.Count; i < padded; i += L.Count)
        {
            maxima = L.Max(maxima, L.Load(scores + i));
        }

        var maximum = L.Create(L.Maximum(maxima));
        for (var i = 0; i < padded; i += L.Count)
        {
            L.Store(scores + i, Exponential.Evaluate(L.Load(scores + i) - maximum));
        }

        new Span<float>(scores + positions, padded - positions).Clear();
        return 1 / FixedSum.Of<L>(padded, scores);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Mix(int width, int positions, float* weights, T* values, float inverse, float* mixed)
    {
        new Span<float>(mixed, width).Clear();
        for (var position = 0; position < positions; position += Block)
        {
            var count = Math.Min(Block, positions - position);
            for (var d = 0; d < width; d += 2 * L.Count)
            {
                L sum0 = L.Load(mixed + d), sum1 = L.Load(mixed + d + L.Count);
                var value = values + ((nint)position * width) + d;
                for (var i = 0; i < count; i++, value += width)
                {
                    var weight = L.Create(weights[position + i]);
                    sum0 = L.MultiplyAdd(weight, T.Load<L>(value), sum0);
                    sum1 = L.MultiplyAdd(weight, T.Load<L>(value + L.Count), sum1);
                }

                L.Store(mixed + d, sum0);
                L.Store(mixed + d + L.Count, sum1);
            }
        }

        for (var d = 0; d < width; d += L.Count)
        {
            L.Store(mixed + d, L.Load(mixed + d) * L.Create(inverse));
        }
    }
}
