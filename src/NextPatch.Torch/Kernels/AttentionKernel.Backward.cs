using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace NextPatch.Torch.Kernels;

// Shape letters: those of AttentionKernel.cs.

/// <content>The backward pass.</content>
internal sealed unsafe partial class AttentionKernel
{
    /// <param name="batch">B.</param>
    /// <param name="qkv">As in the forward pass; becomes its gradient.</param>
    /// <param name="mixedGradient">[R, H D].</param>
    /// <param name="logSums">What the forward pass wrote.</param>
    public void Backward<T>(int batch, T* qkv, T* mixedGradient, float* logSums)
        where T : unmanaged, IElement<T>
        => RowSplit.Run(batch * _kvHeads, 2L * _tokens * (_tokens + _width), (first, end) =>
        {
            for (var item = first; item < end; item++)
            {
                BackwardHeads(item / _kvHeads, item % _kvHeads, qkv, mixedGradient, logSums);
            }
        });

    private void BackwardHeads<T>(int image, int kvHead, T* qkv, T* mixedGradient, float* logSums)
        where T : unmanaged, IElement<T>
    {
        var room = new AttentionScratch(_tokens, QueryBlock, _width);
        var rows = qkv + ((long)image * _tokens * _qkvWidth);
        Keys(rows, kvHead, room.Keys, room.KeysTransposed);
        Values(rows, kvHead, room.Values);
        Transpose(room.Values, room.ValuesTransposed);
        new Span<float>(room.KeyGradients, _tokens * _width).Clear();
        new Span<float>(room.ValueGradients, _tokens * _width).Clear();
        for (var head = kvHead * (_heads / _kvHeads); head < (kvHead + 1) * (_heads / _kvHeads); head++)
        {
            var sums = logSums + ((((long)image * _heads) + head) * _tokens);
            for (var start = 0; start < _tokens; start += QueryBlock)
            {
                BackwardBlock(image, head, start, rows, mixedGradient, sums, room);
            }
        }

        for (var token = 0; token < _tokens; token++)
        {
            var row = rows + ((long)token * _qkvWidth);
            _rotary.Rotate(token, (Single32*)(room.KeyGradients + (token * _width)), row + ((_heads + kvHead) * _width), 1, -1);
            Copy(room.ValueGradients + (token * _width), 1, row + ((_heads + _kvHeads + kvHead) * _width));
        }
    }

    private void BackwardBlock<T>(int image, int head, int start, T* rows, T* mixedGradient, float* logSums, AttentionScratch room)
        where T : unmanaged, IElement<T>
    {
        var (count, seen) = (Math.Min(QueryBlock, _tokens - start), Math.Min(start + QueryBlock, _tokens));
        Scores(rows, head, start, count, seen, room);                                                           // [Q, S]
        for (var i = 0; i < count; i++)
        {
            Widen(mixedGradient + ((((long)image * _tokens) + start + i) * _heads * _width) + (head * _width), room.Mixed + (i * _width));
        }

        MatrixTile.Multiply((count, seen, _width), room.Mixed, _width, 1, room.ValuesTransposed, _tokens, room.WeightGradients, _tokens, false, _vectors); // [Q, S]
        for (var i = 0; i < count; i++)
        {
            float* weights = room.Scores + (i * _tokens), gradients = room.WeightGradients + (i * _tokens), dropped = room.Dropped + (i * _tokens);
            Exponentials(weights, start + i + 1, seen, logSums[start + i]);
            if (_drop.IsActive)
            {
                Drop(image, head, start + i, gradients, gradients);
                Drop(image, head, start + i, weights, dropped);
            }

            ScoreGradients(weights, gradients, start + i + 1, seen);
        }

        MatrixTile.Multiply((seen, _width, count), _drop.IsActive ? room.Dropped : room.Scores, 1, _tokens, room.Mixed, _width, room.ValueGradients, _width, true, _vectors); // [S, D]
        MatrixTile.Multiply((seen, _width, count), room.WeightGradients, 1, _tokens, room.Queries, _width, room.KeyGradients, _width, true, _vectors);    // [S, D]
        MatrixTile.Multiply((count, _width, seen), room.WeightGradients, _tokens, 1, room.Keys, _width, room.Mixed, _width, false, _vectors);             // [Q, D]
        for (var i = 0; i < count; i++)
        {
            _rotary.Rotate(start + i, (Single32*)(room.Mixed + (i * _width)), rows + ((long)(start + i) * _qkvWidth) + (head * _width), _scale, -1);
        }
    }

    /// <summary>Turns gradients of weights into gradients of scores: w (g - sum w g).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ScoreGradients(float* weights, float* gradients, int visible, int seen)
    {
        var (sums, j) = (Vector256<float>.Zero, 0);
        for (; j <= visible - 8; j += 8)
        {
            sums += Vector256.Load(weights + j) * Vector256.Load(gradients + j);
        }

        var sum = Vector256.Sum(sums);
        for (; j < visible; j++)
        {
            sum += weights[j] * gradients[j];
        }

        for (j = 0; j <= visible - 8; j += 8)
        {
            (Vector256.Load(weights + j) * (Vector256.Load(gradients + j) - Vector256.Create(sum))).Store(gradients + j);
        }

        for (; j < visible; j++)
        {
            gradients[j] = weights[j] * (gradients[j] - sum);
        }

        new Span<float>(gradients + visible, seen - visible).Clear();
    }
}
