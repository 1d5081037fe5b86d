using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using NextPatch.Kernels.Gemm;
using NextPatch.Kernels.Simd;
using NextPatch.Kernels.Threading;

namespace NextPatch.Kernels.Attention;

// Shape letters: B batch, N tokens per image, R = B N rows, H query heads, K key/value heads, D head width, Q queries of a block, S keys that a block
// may see.

/// <summary>
/// Causal attention with rotary positions and its backward pass, one head at a time in cache, in float whatever the element type. Scores are formed
/// in blocks of queries, only up to the diagonal, and never kept: the backward pass forms them again from the logarithm of their sums.
/// </summary>
/// <typeparam name="L">Values computed at once; those that remain are done one by one.</typeparam>
internal sealed unsafe partial class AttentionKernel<L>
    where L : unmanaged, ISimd<L>
{
    /// <summary>Queries of a block: the scores of 256 keys then take 32 KiB.</summary>
    private const int QueryBlock = 32;

    private readonly int _tokens, _apart, _rest, _heads, _kvHeads, _width, _qkvWidth;
    private readonly float _scale;
    private readonly RotaryRows _rotary;
    private readonly DropMask _drop;
    private readonly int[]? _firsts;

    /// <param name="tokens">N.</param>
    /// <param name="heads">H.</param>
    /// <param name="kvHeads">K.</param>
    /// <param name="width">D.</param>
    /// <param name="rotary">Factors of N tokens.</param>
    /// <param name="drop">Dropout of attention weights.</param>
    /// <param name="firsts">Tokens at the beginning of each image that are padding, [B]: they see themselves alone, and nothing else sees them. Null:
    /// none.</param>
    /// <param name="conditionRows">Leading tokens whose rotary factors are zero and that become one key; 1: each is a key of its own, which gives the
    /// same and takes longer. With dropout of attention weights, which drops them one by one, that is always done.</param>
    public AttentionKernel(
        int tokens, int heads, int kvHeads, int width, RotaryRows rotary, DropMask drop, int[]? firsts = null, int conditionRows = 1)
    {
        _firsts = firsts;
        _apart = drop.IsActive ? 0 : conditionRows - 1;
        _rest = tokens - _apart;
        (_tokens, _heads, _kvHeads, _width, _rotary, _drop) = (tokens, heads, kvHeads, width, rotary, drop);
        _qkvWidth = (heads + (2 * kvHeads)) * width;
        _scale = (float)(1 / Math.Sqrt(width));
    }

    /// <param name="batch">B.</param>
    /// <param name="qkv">Queries, keys, values before rotation, [R, (H + 2K) D].</param>
    /// <param name="mixed">Result, [R, H D].</param>
    /// <param name="logSums">Logarithm of each row's sum of exponentials, [B, H, N], for the backward pass.</param>
    public void Forward<T>(int batch, T* qkv, T* mixed, float* logSums)
        where T : unmanaged, IElement<T>
        => ParallelRows.Run(batch * _kvHeads, (long)_rest * (_rest + _width), (first, end) =>
        {
            for (var item = first; item < end; item++)
            {
                ForwardHeads(item / _kvHeads, item % _kvHeads, qkv, mixed, logSums);
            }
        });

    private void ForwardHeads<T>(int image, int kvHead, T* qkv, T* mixed, float* logSums)
        where T : unmanaged, IElement<T>
    {
        var room = new AttentionScratch(_rest, QueryBlock, _width);
        var rows = qkv + ((((long)image * _tokens) + _apart) * _qkvWidth);
        Keys(rows, kvHead, room);
        Values(rows, kvHead, room.Values);
        MeanValues(image, kvHead, rows, mixed, room.Values);
        var inverses = stackalloc float[QueryBlock];
        for (var head = kvHead * (_heads / _kvHeads); head < (kvHead + 1) * (_heads / _kvHeads); head++)
        {
            var sums = logSums + ((((long)image * _heads) + head) * _tokens) + _apart;
            for (var start = 0; start < _rest; start += QueryBlock)
            {
                var (count, seen) = (Math.Min(QueryBlock, _rest - start), Math.Min(start + QueryBlock, _rest));
                Scores(image, rows, head, start, count, seen, room);                                            // [Q, S]
                for (var i = 0; i < count; i++)
                {
                    Prefetch(rows + ((long)(start + i) * _qkvWidth), head + 1);
                    (sums[start + i], inverses[i]) = Weights(room.Scores + (i * room.Stride), Hidden(image, start + i), start + i + 1, seen);
                    Drop(image, head, start + i, room.Scores + (i * room.Stride), room.Scores + (i * room.Stride));
                }

                SmallGemm<L>.Multiply((count, _width, seen), room.Scores, room.Stride, 1, room.Values, _width, room.Mixed, _width, false); // [Q, D]
                for (var i = 0; i < count; i++)
                {
                    Copy(0, _width, (Fp32*)(room.Mixed + (i * _width)), inverses[i],
                        mixed + ((((long)image * _tokens) + _apart + start + i) * _heads * _width) + (head * _width));
                }
            }
        }
    }

    /// <summary>Rotated, scaled queries of a block and their products with the keys they may see.</summary>
    private void Scores<T>(int image, T* rows, int head, int start, int count, int seen, AttentionScratch room)
        where T : unmanaged, IElement<T>
    {
        for (var i = 0; i < count; i++)
        {
            _rotary.Rotate<T, Fp32, L>(
                _apart + start + i, rows + ((long)(start + i) * _qkvWidth) + (head * _width), (Fp32*)(room.Queries + (i * _width)), _scale, 1);
        }

        SmallGemm<L>.Multiply((count, seen, _width), room.Queries, _width, 1, room.KeysTransposed, room.Stride, room.Scores, room.Stride, false);
        WeighPrompt(image, start, count, room);
    }

    /// <summary>Calls for what the next head will read of a token: its rows lie too far apart for the processor to foresee.</summary>
    private void Prefetch<T>(T* row, int nextHead)
        where T : unmanaged, IElement<T>
    {
        if (nextHead == _heads)
        {
            return;
        }

        Prefetch(row + (nextHead * _width));
        var group = _heads / _kvHeads;
        if (nextHead % group == 0)
        {
            Prefetch(row + ((_heads + (nextHead / group)) * _width));
            Prefetch(row + ((_heads + _kvHeads + (nextHead / group)) * _width));
        }
    }

    private void Prefetch<T>(T* head)
        where T : unmanaged
    {
        if (Sse.IsSupported)
        {
            for (var d = 0; d < _width; d += 64 / sizeof(T))
            {
                Sse.Prefetch1(head + d);
            }
        }
    }

    private void Keys<T>(T* rows, int kvHead, AttentionScratch room)
        where T : unmanaged, IElement<T>
    {
        for (var token = 0; token < _rest; token++)
        {
            _rotary.Rotate<T, Fp32, L>(
                _apart + token, rows + ((long)token * _qkvWidth) + ((_heads + kvHead) * _width), (Fp32*)(room.Keys + (token * _width)), 1, 1);
        }

        Transpose(room.Keys, room.KeysTransposed, room.Stride);
    }

    private void Values<T>(T* rows, int kvHead, float* values)
        where T : unmanaged, IElement<T>
    {
        for (var token = 0; token < _rest; token++)
        {
            Copy(0, _width, rows + ((long)token * _qkvWidth) + ((_heads + _kvHeads + kvHead) * _width), 1, (Fp32*)(values + (token * _width)));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Transpose(float* from, float* to, int stride)
    {
        var whole = Sse.IsSupported && _width % 4 == 0 ? _rest & ~3 : 0;
        for (var token = 0; token < whole; token += 4)
        {
            for (var d = 0; d < _width; d += 4)
            {
                var source = from + (token * _width) + d;
                var (r0, r1, r2, r3) =
                    (Vector128.Load(source), Vector128.Load(source + _width), Vector128.Load(source + (2 * _width)),
                    Vector128.Load(source + (3 * _width)));
                var (low01, high01, low23, high23) = (Sse.UnpackLow(r0, r1), Sse.UnpackHigh(r0, r1), Sse.UnpackLow(r2, r3), Sse.UnpackHigh(r2, r3));
                var target = to + (d * stride) + token;
                Sse.MoveLowToHigh(low01, low23).Store(target);
                Sse.MoveHighToLow(low23, low01).Store(target + stride);
                Sse.MoveLowToHigh(high01, high23).Store(target + (2 * stride));
                Sse.MoveHighToLow(high23, high01).Store(target + (3 * stride));
            }
        }

        for (var token = whole; token < _rest; token++)
        {
            for (var d = 0; d < _width; d++)
            {
                to[(d * stride) + token] = from[(token * _width) + d];
            }
        }
    }

    /// <summary>Keys at the beginning that a query does not see.</summary>
    private int Hidden(int image, int query) => _firsts is null || _apart > 0 ? 0 : Math.Min(_firsts[image], query);

    /// <summary>exp(score - maximum) of scores [<paramref name="hidden"/>, <paramref name="visible"/>), zeros around them up to
    /// <paramref name="seen"/>.</summary>
    /// <returns>The logarithm of the sum of exponentials, and what turns them into weights.</returns>
    private static (float LogSum, float Inverse) Weights(float* scores, int hidden, int visible, int seen)
    {
        // The row is done to the end of its block, which vectors divide; e^-infinity is so small that no sum feels it.
        var padding = new Span<float>(scores, hidden);
        var unseen = new Span<float>(scores + visible, seen - visible);
        padding.Fill(float.NegativeInfinity);
        unseen.Fill(float.NegativeInfinity);
        var maximum = Maximum(0, seen, scores);
        var sum = Exponentials(0, seen, scores, maximum);
        padding.Clear();
        unseen.Clear();
        return (maximum + MathF.Log(sum), 1 / sum);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Maximum(int j, int count, float* scores)
    {
        var maxima = L.Create(float.NegativeInfinity);
        for (; j <= count - L.Count; j += L.Count)
        {
            maxima = L.Max(maxima, L.Load(scores + j));
        }

        return MathF.Max(L.Maximum(maxima), j < count ? AttentionKernel<Simd1>.Maximum(j, count, scores) : float.NegativeInfinity);
    }

    /// <summary>exp(score - shift) in place; returns their sum.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Exponentials(int j, int count, float* scores, float shift)
    {
        var sums = L.Create(0);
        for (; j <= count - L.Count; j += L.Count)
        {
            var e = Exponential.Evaluate(L.Load(scores + j) - L.Create(shift));
            L.Store(scores + j, e);
            sums += e;
        }

        return L.Sum(sums) + (j < count ? AttentionKernel<Simd1>.Exponentials(j, count, scores, shift) : 0);
    }

    private void Drop(int image, int head, int query, float* from, float* to)
    {
        if (_drop.IsActive)
        {
            var element = (uint)((((((long)image * _heads) + head) * _tokens) + query) * _tokens);
            Drop(0, Math.Min(((query / QueryBlock) + 1) * QueryBlock, _tokens), _drop, element, from, to);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Drop(int j, int count, DropMask drop, uint element, float* from, float* to)
    {
        for (; j <= count - L.Count; j += L.Count)
        {
            L.Store(to + j, L.Load(from + j) * L.Factors(drop, element + (uint)j));
        }

        if (j < count)
        {
            AttentionKernel<Simd1>.Drop(j, count, drop, element, from, to);
        }
    }

    /// <summary>to = from * factor.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Copy<TFrom, TTo>(int d, int width, TFrom* from, float factor, TTo* to)
        where TFrom : unmanaged, IElement<TFrom>
        where TTo : unmanaged, IElement<TTo>
    {
        for (; d <= width - L.Count; d += L.Count)
        {
            TTo.Store(to + d, TFrom.Load<L>(from + d) * L.Create(factor));
        }

        if (d < width)
        {
            AttentionKernel<Simd1>.Copy(d, width, from, factor, to);
        }
    }
}
