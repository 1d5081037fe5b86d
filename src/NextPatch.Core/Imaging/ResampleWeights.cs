namespace NextPatch.Core.Imaging;

/// <summary>Which source pixels an output pixel mixes along one axis, and with what fixed-point weights.</summary>
/// <remarks>Equal to Pillow's precompute_coeffs and normalize_coeffs_8bpc (libImaging/Resample.c): weights are computed and
/// normalised in double precision, then rounded half away from zero to <see cref="FractionBits"/> binary digits.</remarks>
internal sealed class ResampleWeights
{
    /// <summary>Pillow's PRECISION_BITS: 32 bits hold a pixel, a sign and twice the largest sum.</summary>
    public const int FractionBits = 32 - 8 - 2;

    private readonly int _from;
    private readonly int _stride;
    private readonly int[] _firsts;
    private readonly int[] _counts;
    private readonly int[] _weights;

    /// <param name="sourceSize">Pixels of the source along the axis.</param>
    /// <param name="size">Pixels of the whole output along the axis.</param>
    /// <param name="filter">Widened by the scale where the output is smaller.</param>
    /// <param name="from">First output pixel that is wanted.</param>
    /// <param name="count">Output pixels that are wanted.</param>
    public ResampleWeights(int sourceSize, int size, ResampleFilter filter, int from, int count)
    {
        _from = from;
        var scale = (double)sourceSize / size;
        var filterScale = Math.Max(scale, 1);
        var support = filter switch { ResampleFilter.Box => 0.5, ResampleFilter.Bicubic => 2.0, _ => 3.0 } * filterScale;
        var inverse = 1.0 / filterScale;
        _stride = ((int)Math.Ceiling(support) * 2) + 1;
        (_firsts, _counts, _weights) = (new int[count], new int[count], new int[count * _stride]);
        var taps = new double[_stride];
        for (var i = 0; i < count; i++)
        {
            var centre = (from + i + 0.5) * scale;
            var first = Math.Max((int)(centre - support + 0.5), 0);
            var taken = Math.Min((int)(centre + support + 0.5), sourceSize) - first;
            var sum = 0.0;
            for (var k = 0; k < taken; k++)
            {
                taps[k] = Weigh(filter, (k + first - centre + 0.5) * inverse);
                sum += taps[k];
            }

            for (var k = 0; k < taken; k++)
            {
                var weight = (sum != 0 ? taps[k] / sum : taps[k]) * (1 << FractionBits);
                _weights[(i * _stride) + k] = (int)(weight < 0 ? weight - 0.5 : weight + 0.5);
            }

            (_firsts[i], _counts[i]) = (first, taken);
        }
    }

    /// <summary>First source pixel of an output pixel.</summary>
    public int First(int output) => _firsts[output - _from];

    /// <summary>Weights of the source pixels from <see cref="First"/> on.</summary>
    public ReadOnlySpan<int> Of(int output) => _weights.AsSpan((output - _from) * _stride, _counts[output - _from]);

    private static double Weigh(ResampleFilter filter, double x)
    {
        const double A = -0.5;
        if (filter == ResampleFilter.Box)
        {
            return x is > -0.5 and <= 0.5 ? 1 : 0;
        }

        if (filter == ResampleFilter.Lanczos)
        {
            return x is >= -3 and < 3 ? Sinc(x) * Sinc(x / 3) : 0;
        }

        x = Math.Abs(x);
        return x < 1 ? ((((A + 2) * x) - (A + 3)) * x * x) + 1
            : x < 2 ? ((((x - 5) * x) + 8) * x - 4) * A
            : 0;
    }

    private static double Sinc(double x) => x == 0 ? 1 : Math.Sin(x * Math.PI) / (x * Math.PI);
}
