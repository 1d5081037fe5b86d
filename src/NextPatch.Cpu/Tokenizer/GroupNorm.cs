using System.Runtime.CompilerServices;
using NextPatch.Core.Tensors;
using NextPatch.Kernels.Simd;
using NextPatch.Kernels.Threading;

namespace NextPatch.Cpu.Tokenizer;

// Shape letters: h and w rows and columns, C channels.

/// <summary>Group normalisation, and SiLU in the same pass where it follows.</summary>
internal sealed unsafe class GroupNorm
{
    private readonly float[] _weight;
    private readonly float[] _bias;
    private readonly int _groups;
    private readonly double _epsilon;

    /// <param name="weight">[C].</param>
    /// <param name="bias">[C].</param>
    /// <param name="groups">Groups of neighbouring channels.</param>
    /// <param name="epsilon">Added to the variance.</param>
    public GroupNorm(HostTensor weight, HostTensor bias, int groups, double epsilon)
        => (_weight, _bias, _groups, _epsilon) = (weight.ToSingles(), bias.ToSingles(), groups, epsilon);

    /// <param name="team">The threads.</param>
    /// <param name="from">[h, w, C].</param>
    /// <returns>What the norm does to it.</returns>
    /// <typeparam name="L">Channels computed at once.</typeparam>
    public NormFactors Measure<L>(ThreadTeam team, FeatureMap from)
        where L : unmanaged, ISimd<L>
    {
        var channels = from.Channels;
        var sums = new float[from.Height * 2 * channels]; // of values and of squares, by row
        team.Run(from.Height, (y, _) =>
        {
            fixed (float* row = &sums[y * 2 * channels])
            {
                Sums<L>(from.Width, channels, from.At(y, 0), row, row + channels);
            }
        });
        return Factors(sums, from.Height, (long)from.Height * from.Width * (channels / _groups));
    }

    /// <param name="team">The threads.</param>
    /// <param name="from">[h, w, C].</param>
    /// <param name="to">Takes its shape.</param>
    /// <param name="withSilu">Whether SiLU follows.</param>
    /// <typeparam name="L">Channels computed at once.</typeparam>
    public void Run<L>(ThreadTeam team, FeatureMap from, FeatureMap to, bool withSilu)
        where L : unmanaged, ISimd<L>
    {
        var factors = Measure<L>(team, from);
        to.Shape(from.Height, from.Width, from.Channels);
        team.Run(from.Height, (y, _) => factors.Apply<L>(from.Width, from.At(y, 0), withSilu, to.At(y, 0)));
    }

    private NormFactors Factors(float[] sums, int rows, long count)
    {
        var (channels, width) = (_weight.Length, _weight.Length / _groups);
        var (scales, shifts) = (new float[channels], new float[channels]);
        for (var group = 0; group < _groups; group++)
        {
            var (sum, squares) = (0.0, 0.0);
            for (var y = 0; y < rows; y++)
            {
                for (var c = group * width; c < (group + 1) * width; c++)
                {
                    sum += sums[(y * 2 * channels) + c];
                    squares += sums[(((y * 2) + 1) * channels) + c];
                }
            }

            var mean = sum / count;
            var inverse = 1 / Math.Sqrt(Math.Max(0, (squares / count) - (mean * mean)) + _epsilon);
            for (var c = group * width; c < (group + 1) * width; c++)
            {
                scales[c] = (float)(_weight[c] * inverse);
                shifts[c] = (float)(_bias[c] - (mean * _weight[c] * inverse));
            }
        }

        return new NormFactors(scales, shifts);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Sums<L>(int width, int channels, float* pixels, float* sums, float* squares)
        where L : unmanaged, ISimd<L>
    {
        for (var c = 0; c < channels; c += L.Count)
        {
            L sum = default, square = default;
            var pixel = pixels + c;
            for (var x = 0; x < width; x++, pixel += channels)
            {
                var v = L.Load(pixel);
                sum += v;
                square = L.MultiplyAdd(v, v, square);
            }

            L.Store(sums + c, sum);
            L.Store(squares + c, square);
        }
    }
}
