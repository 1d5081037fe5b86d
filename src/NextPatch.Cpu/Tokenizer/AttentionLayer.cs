using NextPatch.Kernels.Gemm;
using NextPatch.Kernels.Simd;
using NextPatch.Kernels.Threading;

namespace NextPatch.Cpu.Tokenizer;

// Shape letters: h and w rows and columns, P positions (h * w), C channels.

/// <summary>x + proj(attention(norm(x))) over all positions, one head of width C, scale 1 / sqrt(C).</summary>
internal sealed unsafe class AttentionLayer(GroupNorm norm, IConvolution query, IConvolution key, IConvolution value, IConvolution output)
    : ITokenizerLayer
{
    public void Run<L>(ThreadTeam team, TokenizerMaps maps)
        where L : unmanaged, ISimd<L>
    {
        norm.Run<L>(team, maps.Current, maps.Normed, withSilu: false);
        var (height, width, channels) = (maps.Normed.Height, maps.Normed.Width, maps.Normed.Channels);
        query.Run<L>(team, maps, maps.Normed, null, maps.Queries);
        key.Run<L>(team, maps, maps.Normed, null, maps.Keys);
        value.Run<L>(team, maps, maps.Normed, null, maps.Values);
        var positions = height * width;
        var (keys, values) = (new float[channels * positions], new float[positions * channels]); // [C, P], [P, C]
        for (var p = 0; p < positions; p++)
        {
            float* k = maps.Keys.At(p / width, p % width), v = maps.Values.At(p / width, p % width);
            new ReadOnlySpan<float>(v, channels).CopyTo(values.AsSpan(p * channels));
            for (var c = 0; c < channels; c++)
            {
                keys[(c * positions) + p] = k[c];
            }
        }

        team.Run(height, (y, _) => Mix<L>(maps, y, keys, values));
        output.Run<L>(team, maps, maps.Normed, null, maps.Current, add: true);
    }

    public void Dispose()
    {
        query.Dispose();
        key.Dispose();
        value.Dispose();
        output.Dispose();
    }

    /// <summary>One row of pixels.</summary>
    private static void Mix<L>(TokenizerMaps maps, int y, float[] keys, float[] values)
        where L : unmanaged, ISimd<L>
    {
        var (width, channels) = (maps.Queries.Width, maps.Queries.Channels);
        var positions = values.Length / channels;
        var weights = new float[width * positions]; // [w, P]
        fixed (float* k = keys, v = values, w = weights)
        {
            SmallGemm<L>.Multiply((width, positions, channels), maps.Queries.At(y, 0), channels, 1, k, positions, w, positions, false);
            for (var x = 0; x < width; x++)
            {
                Softmax(weights.AsSpan(x * positions, positions), 1 / MathF.Sqrt(channels));
            }

            SmallGemm<L>.Multiply((width, channels, positions), w, positions, 1, v, channels, maps.Normed.At(y, 0), channels, false);
        }
    }

    private static void Softmax(Span<float> scores, float scale)
    {
        var (maximum, sum) = (float.NegativeInfinity, 0f);
        foreach (var score in scores)
        {
            maximum = MathF.Max(maximum, score);
        }

        foreach (ref var score in scores)
        {
            score = Exponential.Evaluate(new Simd1((score - maximum) * scale)).Value;
            sum += score;
        }

        foreach (ref var score in scores)
        {
            score /= sum;
        }
    }
}
