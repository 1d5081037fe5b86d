using System.Numerics;
using System.Runtime.InteropServices;
using NextPatch.Kernels.Threading;

namespace NextPatch.Text.Encoders;

/// <summary>Attention in both directions inside each text, with T5's bias by distance.</summary>
internal static class T5Attention
{
    private const int MostDistance = 128;

    /// <param name="config">Heads and buckets.</param>
    /// <param name="starts">Where texts begin, and where the last one ends.</param>
    /// <param name="queries">[R, I].</param>
    /// <param name="keys">[R, I].</param>
    /// <param name="values">[R, I].</param>
    /// <param name="bias">[buckets, heads].</param>
    /// <param name="joined">[R, I]; receives the sums of values.</param>
    public static void Run(T5Config config, int[] starts, float[] queries, float[] keys, float[] values, float[] bias, float[] joined)
    {
        var tasks = (starts.Length - 1) * config.HeadCount;
        var cost = (long)starts[^1] * starts[^1] / Math.Max((starts.Length - 1) * (starts.Length - 1), 1) * config.HeadWidth;
        ParallelRows.Run(tasks, cost, (first, end) =>
        {
            for (var task = first; task < end; task++)
            {
                var (text, head) = (task / config.HeadCount, task % config.HeadCount);
                Head(config, starts[text], starts[text + 1] - starts[text], head, queries, keys, values, bias, joined);
            }
        });
    }

    /// <summary>
    /// Which bias a distance has: half of the buckets for keys behind the query; in each half the near ones singly, then by logarithm.
    /// </summary>
    internal static int Bucket(int distance, int buckets)
    {
        var half = buckets / 2;
        var exact = half / 2;
        var (sign, size) = (distance > 0 ? half : 0, Math.Abs(distance));
        return sign + (size < exact
            ? size
            : Math.Min(half - 1, exact + (int)(MathF.Log((float)size / exact) / MathF.Log((float)MostDistance / exact) * (half - exact))));
    }

    private static void Head(
        T5Config config, int start, int length, int head, float[] queries, float[] keys, float[] values, float[] bias, float[] joined)
    {
        var (width, stride) = (config.HeadWidth, config.InnerWidth);
        var scores = new float[length];
        var byDistance = new float[Math.Max((2 * length) - 1, 0)]; // a text may have no tokens
        for (var i = 0; i < byDistance.Length; i++)
        {
            byDistance[i] = bias[(Bucket(i - length + 1, config.BucketCount) * config.HeadCount) + head];
        }

        Span<float> Row(float[] rows, int i) => rows.AsSpan(((start + i) * stride) + (head * width), width);
        for (var i = 0; i < length; i++)
        {
            var query = Row(queries, i);
            var most = float.NegativeInfinity;
            for (var j = 0; j < length; j++)
            {
                scores[j] = Dot(query, Row(keys, j)) + byDistance[j - i + length - 1];
                most = MathF.Max(most, scores[j]);
            }

            var sum = 0f;
            var to = Row(joined, i);
            to.Clear();
            for (var j = 0; j < length; j++)
            {
                var weight = MathF.Exp(scores[j] - most);
                sum += weight;
                Add(weight, Row(values, j), to);
            }

            foreach (ref var value in to)
            {
                value /= sum;
            }
        }
    }

    private static float Dot(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        ReadOnlySpan<Vector<float>> left = MemoryMarshal.Cast<float, Vector<float>>(a), right = MemoryMarshal.Cast<float, Vector<float>>(b);
        var sums = Vector<float>.Zero;
        for (var i = 0; i < left.Length; i++)
        {
            sums += left[i] * right[i];
        }

        var sum = Vector.Sum(sums);
        for (var i = left.Length * Vector<float>.Count; i < a.Length; i++)
        {
            sum += a[i] * b[i];
        }

        return sum;
    }

    private static void Add(float factor, ReadOnlySpan<float> values, Span<float> sums)
    {
        var from = MemoryMarshal.Cast<float, Vector<float>>(values);
        var to = MemoryMarshal.Cast<float, Vector<float>>(sums);
        for (var i = 0; i < from.Length; i++)
        {
            to[i] += from[i] * factor;
        }

        for (var i = from.Length * Vector<float>.Count; i < values.Length; i++)
        {
            sums[i] += values[i] * factor;
        }
    }
}
