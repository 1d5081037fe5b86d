using System.Runtime.CompilerServices;
using NextPatch.Kernels.Gemm;
using NextPatch.Kernels.Simd;
using NextPatch.Kernels.Threading;

namespace NextPatch.Kernels.Attention;

// Shape letters: those of AttentionKernel.cs.

/// <content>The backward pass.</content>
internal sealed unsafe partial class AttentionKernel<L>
{
    /// <param name="batch">B.</param>
    /// <param name="qkv">As in the forward pass; becomes its gradient.</param>
    /// <param name="mixedGradient">[R, H D].</param>
    /// <param name="logSums">What the forward pass wrote.</param>
    public void Backward<T>(int batch, T* qkv, T* mixedGradient, float* logSums)
        where T : unmanaged, IElement<T>
        => ParallelRows.Run(batch * _kvHeads, 2L * _rest * (_rest + _width), (first, end) =>
        {
            for (var item = first; item < end; item++)
            {
                BackwardHeads(item / _kvHeads, item % _kvHeads, qkv, mixedGradient, logSums);
            }
        });

    private void BackwardHeads<T>(int image, int kvHead, T* qkv, T* mixedGradient, float* logSums)
        where T : unmanaged, IElement<T>
    {
        var room = new AttentionScratch(_rest, QueryBlock, _width);
        var rows = qkv + ((((long)image * _tokens) + _apart) * _qkvWidth);
        Keys(rows, kvHead, room);
        Values(rows, kvHead, room.Values);
        MeanValues<T>(image, kvHead, rows, null, room.Values);
        Transpose(room.Values, room.ValuesTransposed, room.Stride);
        new Span<float>(room.KeyGradients, _rest * _width).Clear();
        new Span<float>(room.ValueGradients, _rest * _width).Clear();
        for (var head = kvHead * (_heads / _kvHeads); head < (kvHead + 1) * (_heads / _kvHeads); head++)
        {
            var sums = logSums + ((((long)image * _heads) + head) * _tokens) + _apart;
            for (var start = 0; start < _rest; start += QueryBlock)
            {
                BackwardBlock(image, head, start, rows, mixedGradient, sums, room);
            }
        }

        MeanGradients(image, kvHead, rows, mixedGradient, room);
        for (var token = 0; token < _rest; token++)
        {
            var row = rows + ((long)token * _qkvWidth);
            _rotary.Rotate<Fp32, T, L>(_apart + token, (Fp32*)(room.KeyGradients + (token * _width)), row + ((_heads + kvHead) * _width), 1, -1);
            Copy(0, _width, (Fp32*)(room.ValueGradients + (token * _width)), 1, row + ((_heads + _kvHeads + kvHead) * _width));
        }
    }

    private void BackwardBlock<T>(int image, int head, int start, T* rows, T* mixedGradient, float* logSums, AttentionScratch room)
        where T : unmanaged, IElement<T>
    {
        var (count, seen) = (Math.Min(QueryBlock, _rest - start), Math.Min(start + QueryBlock, _rest));
        Scores(image, rows, head, start, count, seen, room);                                                           // [Q, S]
        for (var i = 0; i < count; i++)
        {
            Copy(0, _width, mixedGradient + ((((long)image * _tokens) + _apart + start + i) * _heads * _width) + (head * _width), 1,
                (Fp32*)(room.Mixed + (i * _width)));
        }

        // [Q, S]
        SmallGemm<L>.Multiply(
            (count, seen, _width), room.Mixed, _width, 1, room.ValuesTransposed, room.Stride, room.WeightGradients, room.Stride, false);
        for (var i = 0; i < count; i++)
        {
            float* weights = room.Scores + (i * room.Stride), gradients = room.WeightGradients + (i * room.Stride),
                dropped = room.Dropped + (i * room.Stride);
            var visible = start + i + 1;
            Prefetch(rows + ((long)(start + i) * _qkvWidth), head + 1);
            Exponentials(0, seen, weights, logSums[start + i]);
            new Span<float>(weights, Hidden(image, start + i)).Clear();
            new Span<float>(weights + visible, seen - visible).Clear();
            if (_drop.IsActive)
            {
                Drop(image, head, start + i, gradients, gradients);
                Drop(image, head, start + i, weights, dropped);
            }

            ScoreGradients(0, seen, weights, gradients, Dot(0, seen, weights, gradients));
        }

        // [S, D]
        SmallGemm<L>.Multiply(
            (seen, _width, count), _drop.IsActive ? room.Dropped : room.Scores, 1, room.Stride, room.Mixed, _width, room.ValueGradients, _width,
            true);
        // [S, D]
        SmallGemm<L>.Multiply((seen, _width, count), room.WeightGradients, 1, room.Stride, room.Queries, _width, room.KeyGradients, _width, true);
        // [Q, D]
        SmallGemm<L>.Multiply((count, _width, seen), room.WeightGradients, room.Stride, 1, room.Keys, _width, room.Mixed, _width, false);
        for (var i = 0; i < count; i++)
        {
            _rotary.Rotate<Fp32, T, L>(
                _apart + start + i, (Fp32*)(room.Mixed + (i * _width)), rows + ((long)(start + i) * _qkvWidth) + (head * _width), _scale, -1);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Dot(int j, int count, float* a, float* b)
    {
        var sums = L.Create(0);
        for (; j <= count - L.Count; j += L.Count)
        {
            sums += L.Load(a + j) * L.Load(b + j);
        }

        return L.Sum(sums) + (j < count ? AttentionKernel<Simd1>.Dot(j, count, a, b) : 0);
    }

    /// <summary>Turns gradients of weights into gradients of scores: w (g - sum w g).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ScoreGradients(int j, int count, float* weights, float* gradients, float sum)
    {
        for (; j <= count - L.Count; j += L.Count)
        {
            L.Store(gradients + j, L.Load(weights + j) * (L.Load(gradients + j) - L.Create(sum)));
        }

        if (j < count)
        {
            AttentionKernel<Simd1>.ScoreGradients(j, count, weights, gradients, sum);
        }
    }
}
