using System.Runtime.CompilerServices;
using NextPatch.Kernels.Simd;

namespace NextPatch.Kernels.Attention;

// Shape letters: those of AttentionKernel.cs, and C condition rows.

/// <content>
/// Condition rows as one key. Their rotary factors are zero, so all scores towards them are zero: a condition row receives the plain mean of the
/// values it sees, and for every later query the n rows that it sees are one key of zeros, n times, whose value is their mean. The last condition row
/// is that key: what comes before it is done here, what comes after it by the blocks of queries, which begin with it.
/// </content>
internal sealed unsafe partial class AttentionKernel<L>
{
    /// <summary>The first condition row that later ones see; padding before it sees itself alone.</summary>
    private int FirstSeen(int image) => Math.Min(_firsts?[image] ?? 0, _apart);

    /// <summary>Replaces the value of the last condition row by the mean of those it sees, and gives the rows before it theirs.</summary>
    /// <param name="image">Which one.</param>
    /// <param name="kvHead">Which one.</param>
    /// <param name="rows">The image's last condition row.</param>
    /// <param name="mixed">Of all images, as in the forward pass; null: only the value is wanted.</param>
    /// <param name="values">[N - C + 1, D].</param>
    private void MeanValues<T>(int image, int kvHead, T* rows, T* mixed, float* values)
        where T : unmanaged, IElement<T>
    {
        if (_apart == 0)
        {
            return;
        }

        var (first, group) = (FirstSeen(image), _heads / _kvHeads);
        float* sum = stackalloc float[_width], own = stackalloc float[_width];
        new Span<float>(sum, _width).Clear();
        for (var token = 0; token <= _apart; token++)
        {
            var value = rows + ((long)(token - _apart) * _qkvWidth) + ((_heads + _kvHeads + kvHead) * _width);
            var to = token < first ? own : sum;
            new Span<float>(own, _width).Clear();
            Add(0, _width, value, 1, to);
            if (token == _apart)
            {
                Copy(0, _width, (Fp32*)sum, 1f / (token - first + 1), (Fp32*)values);
            }
            else if (mixed != null)
            {
                for (var head = kvHead * group; head < (kvHead + 1) * group; head++)
                {
                    Copy(0, _width, (Fp32*)to, token < first ? 1 : 1f / (token - first + 1),
                        mixed + ((((long)image * _tokens) + token) * _heads * _width) + (head * _width));
                }
            }
        }
    }

    /// <summary>Counts the last condition row as often as rows that a query sees; of a caption without a token none is seen.</summary>
    private void WeighPrompt(int image, int start, int count, AttentionScratch room)
    {
        if (_apart == 0)
        {
            return;
        }

        var logCount = MathF.Log(_apart + 1 - (_firsts?[image] ?? 0));
        for (var i = start == 0 ? 1 : 0; i < count; i++)
        {
            room.Scores[i * room.Stride] += logCount;
        }
    }

    /// <summary>Gradients of queries, keys and values of the condition rows before the last one, and of the last one's value.</summary>
    /// <param name="image">Which one.</param>
    /// <param name="kvHead">Which one.</param>
    /// <param name="rows">The image's last condition row; receives the gradients of those before it.</param>
    /// <param name="mixedGradient">Of all images.</param>
    /// <param name="room">Holds the gradient of the mean, which becomes that of the last row's value.</param>
    private void MeanGradients<T>(int image, int kvHead, T* rows, T* mixedGradient, AttentionScratch room)
        where T : unmanaged, IElement<T>
    {
        if (_apart == 0)
        {
            return;
        }

        // A row's value is in the means of its own row and of all later ones.
        var (first, group) = (FirstSeen(image), _heads / _kvHeads);
        float* sum = stackalloc float[_width], own = stackalloc float[_width];
        Copy(0, _width, (Fp32*)room.ValueGradients, 1f / (_apart - first + 1), (Fp32*)sum);
        Copy(0, _width, (Fp32*)sum, 1, (Fp32*)room.ValueGradients);
        for (var token = _apart - 1; token >= 0; token--)
        {
            var to = token < first ? own : sum;
            new Span<float>(own, _width).Clear();
            for (var head = kvHead * group; head < (kvHead + 1) * group; head++)
            {
                Add(0, _width, mixedGradient + ((((long)image * _tokens) + token) * _heads * _width) + (head * _width),
                    token < first ? 1 : 1f / (token - first + 1), to);
            }

            var row = rows + ((long)(token - _apart) * _qkvWidth);
            new Span<T>(row + (kvHead * group * _width), group * _width).Clear();
            new Span<T>(row + ((_heads + kvHead) * _width), _width).Clear();
            Copy(0, _width, (Fp32*)to, 1, row + ((_heads + _kvHeads + kvHead) * _width));
        }
    }

    /// <summary>to += from * factor.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Add<T>(int d, int width, T* from, float factor, float* to)
        where T : unmanaged, IElement<T>
    {
        for (; d <= width - L.Count; d += L.Count)
        {
            L.Store(to + d, L.Load(to + d) + (T.Load<L>(from + d) * L.Create(factor)));
        }

        if (d < width)
        {
            AttentionKernel<Simd1>.Add(d, width, from, factor, to);
        }
    }
}
