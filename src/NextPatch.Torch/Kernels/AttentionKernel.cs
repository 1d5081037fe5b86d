using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace NextPatch.Torch.Kernels;

// Shape letters: B batch, N tokens per image, R = B N rows, H query heads, K key/value heads, D head width, Q queries of a block, S keys that a block may see.

/// <summary>
/// Causal attention with rotary positions and its backward pass, one head at a time in cache, in float whatever the element type. Scores are formed
/// in blocks of queries, only up to the diagonal, and never kept: the backward pass forms them again from the logarithm of their sums.
/// </summary>
internal sealed unsafe partial class AttentionKernel
{
    /// <summary>Queries of a block: the scores of 256 keys then take 32 KiB.</summary>
    private const int QueryBlock = 32;

    private readonly int _tokens, _heads, _kvHeads, _width, _qkvWidth;
    private readonly float _scale;
    private readonly RotaryRows _rotary;
    private readonly DropMask _drop;
    private readonly TileWidth _vectors;

    /// <param name="tokens">N.</param>
    /// <param name="heads">H.</param>
    /// <param name="kvHeads">K.</param>
    /// <param name="width">D.</param>
    /// <param name="rotary">Factors of N tokens.</param>
    /// <param name="drop">Dropout of attention weights.</param>
    /// <param name="vectors">Vectors to use; <see cref="TileWidth.Scalar"/> = the plain twin.</param>
    public AttentionKernel(int tokens, int heads, int kvHeads, int width, RotaryRows rotary, DropMask drop, TileWidth vectors)
    {
        (_tokens, _heads, _kvHeads, _width, _rotary, _drop, _vectors) = (tokens, heads, kvHeads, width, rotary, drop, vectors);
        _qkvWidth = (heads + (2 * kvHeads)) * width;
        _scale = (float)(1 / Math.Sqrt(width));
    }

    /// <param name="batch">B.</param>
    /// <param name="qkv">Queries, keys, values before rotation, [R, (H + 2K) D].</param>
    /// <param name="mixed">Result, [R, H D].</param>
    /// <param name="logSums">Logarithm of each row's sum of exponentials, [B, H, N], for the backward pass.</param>
    public void Forward<T>(int batch, T* qkv, T* mixed, float* logSums)
        where T : unmanaged, IElement<T>
        => RowSplit.Run(batch * _kvHeads, (long)_tokens * (_tokens + _width), (first, end) =>
        {
            for (var item = first; item < end; item++)
            {
                ForwardHeads(item / _kvHeads, item % _kvHeads, qkv, mixed, logSums);
            }
        });

    private void ForwardHeads<T>(int image, int kvHead, T* qkv, T* mixed, float* logSums)
        where T : unmanaged, IElement<T>
    {
        var room = new AttentionScratch(_tokens, QueryBlock, _width);
        var rows = qkv + ((long)image * _tokens * _qkvWidth);
        Keys(rows, kvHead, room.Keys, room.KeysTransposed);
        Values(rows, kvHead, room.Values);
        var inverses = stackalloc float[QueryBlock];
        for (var head = kvHead * (_heads / _kvHeads); head < (kvHead + 1) * (_heads / _kvHeads); head++)
        {
            var sums = logSums + ((((long)image * _heads) + head) * _tokens);
            for (var start = 0; start < _tokens; start += QueryBlock)
            {
                var (count, seen) = (Math.Min(QueryBlock, _tokens - start), Math.Min(start + QueryBlock, _tokens));
                Scores(rows, head, start, count, seen, room);                                                   // [Q, S]
                for (var i = 0; i < count; i++)
                {
                    (sums[start + i], inverses[i]) = Weights(room.Scores + (i * _tokens), start + i + 1, seen);
                    Drop(image, head, start + i, room.Scores + (i * _tokens), room.Scores + (i * _tokens));
                }

                MatrixTile.Multiply((count, _width, seen), room.Scores, _tokens, 1, room.Values, _width, room.Mixed, _width, false, _vectors); // [Q, D]
                for (var i = 0; i < count; i++)
                {
                    Copy(room.Mixed + (i * _width), inverses[i], mixed + ((((long)image * _tokens) + start + i) * _heads * _width) + (head * _width));
                }
            }
        }
    }

    /// <summary>Rotated, scaled queries of a block and their products with the keys they may see.</summary>
    private void Scores<T>(T* rows, int head, int start, int count, int seen, AttentionScratch room)
        where T : unmanaged, IElement<T>
    {
        for (var i = 0; i < count; i++)
        {
            _rotary.Rotate(start + i, rows + ((long)(start + i) * _qkvWidth) + (head * _width), (Single32*)(room.Queries + (i * _width)), _scale, 1);
        }

        MatrixTile.Multiply((count, seen, _width), room.Queries, _width, 1, room.KeysTransposed, _tokens, room.Scores, _tokens, false, _vectors);
    }

    private void Keys<T>(T* rows, int kvHead, float* keys, float* transposed)
        where T : unmanaged, IElement<T>
    {
        for (var token = 0; token < _tokens; token++)
        {
            _rotary.Rotate(token, rows + ((long)token * _qkvWidth) + ((_heads + kvHead) * _width), (Single32*)(keys + (token * _width)), 1, 1);
        }

        Transpose(keys, transposed);
    }

    private void Values<T>(T* rows, int kvHead, float* values)
        where T : unmanaged, IElement<T>
    {
        for (var token = 0; token < _tokens; token++)
        {
            Widen(rows + ((long)token * _qkvWidth) + ((_heads + _kvHeads + kvHead) * _width), values + (token * _width));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Transpose(float* from, float* to)
    {
        var whole = Sse.IsSupported && _width % 4 == 0 ? _tokens & ~3 : 0;
        for (var token = 0; token < whole; token += 4)
        {
            for (var d = 0; d < _width; d += 4)
            {
                var source = from + (token * _width) + d;
                var (r0, r1, r2, r3) = (Vector128.Load(source), Vector128.Load(source + _width), Vector128.Load(source + (2 * _width)), Vector128.Load(source + (3 * _width)));
                var (low01, high01, low23, high23) = (Sse.UnpackLow(r0, r1), Sse.UnpackHigh(r0, r1), Sse.UnpackLow(r2, r3), Sse.UnpackHigh(r2, r3));
                var target = to + (d * _tokens) + token;
                Sse.MoveLowToHigh(low01, low23).Store(target);
                Sse.MoveHighToLow(low23, low01).Store(target + _tokens);
                Sse.MoveLowToHigh(high01, high23).Store(target + (2 * _tokens));
                Sse.MoveHighToLow(high23, high01).Store(target + (3 * _tokens));
            }
        }

        for (var token = whole; token < _tokens; token++)
        {
            for (var d = 0; d < _width; d++)
            {
                to[(d * _tokens) + token] = from[(token * _width) + d];
            }
        }
    }

    /// <summary>exp(score - maximum) of the first <paramref name="visible"/> scores, zeros up to <paramref name="seen"/>.</summary>
    /// <returns>The logarithm of the sum of exponentials, and what turns them into weights.</returns>
    private (float LogSum, float Inverse) Weights(float* scores, int visible, int seen)
    {
        var maximum = Maximum(scores, visible);
        var sum = Exponentials(scores, visible, seen, maximum);
        return (maximum + MathF.Log(sum), 1 / sum);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Maximum(float* scores, int count)
    {
        var (maxima, j) = (Vector256.Create(float.NegativeInfinity), 0);
        for (; j <= count - 8; j += 8)
        {
            maxima = Vector256.MaxNative(maxima, Vector256.Load(scores + j));
        }

        var pairs = Vector128.MaxNative(maxima.GetLower(), maxima.GetUpper());
        var maximum = MathF.Max(MathF.Max(pairs[0], pairs[1]), MathF.Max(pairs[2], pairs[3]));
        for (; j < count; j++)
        {
            maximum = MathF.Max(maximum, scores[j]);
        }

        return maximum;
    }

    /// <summary>exp(score - shift) of the visible scores, zeros behind them; returns their sum.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private float Exponentials(float* scores, int visible, int seen, float shift)
    {
        var (sums, j) = (Vector256<float>.Zero, 0);
        for (; j <= visible - 8 && _vectors != TileWidth.Scalar; j += 8)
        {
            var e = Exponential.Of(Vector256.Load(scores + j) - Vector256.Create(shift));
            e.Store(scores + j);
            sums += e;
        }

        var sum = Vector256.Sum(sums);
        for (; j < visible; j++)
        {
            scores[j] = Exponential.Of(scores[j] - shift);
            sum += scores[j];
        }

        new Span<float>(scores + visible, seen - visible).Clear();
        return sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Drop(int image, int head, int query, float* from, float* to)
    {
        if (!_drop.IsActive)
        {
            return;
        }

        var element = (uint)((((((long)image * _heads) + head) * _tokens) + query) * _tokens);
        var block = Math.Min(((query / QueryBlock) + 1) * QueryBlock, _tokens);
        var j = 0;
        for (; j <= block - 8 && _vectors != TileWidth.Scalar; j += 8)
        {
            (Vector256.Load(from + j) * _drop.Factors(element + (uint)j)).Store(to + j);
        }

        for (; j < block; j++)
        {
            to[j] = from[j] * _drop.Factor(element + (uint)j);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Widen<T>(T* from, float* to)
        where T : unmanaged, IElement<T>
    {
        var d = 0;
        for (; d <= _width - 8; d += 8)
        {
            T.Load(from + d).Store(to + d);
        }

        for (; d < _width; d++)
        {
            to[d] = T.Widen(from[d]);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Copy<T>(float* from, float factor, T* to)
        where T : unmanaged, IElement<T>
    {
        var d = 0;
        for (; d <= _width - 8; d += 8)
        {
            T.Store(to + d, Vector256.Load(from + d) * factor);
        }

        for (; d < _width; d++)
        {
            to[d] = T.Narrow(from[d] * factor);
        }
    }
}
