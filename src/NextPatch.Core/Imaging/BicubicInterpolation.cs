namespace NextPatch.Core.Imaging;

// Shape letters used in this file: P planes (images x channels), H rows, W columns.

/// <summary>
/// Cubic convolution of float planes without antialiasing, as PyTorch's <c>interpolate(mode="bicubic", align_corners=False)</c>: a = -0.75.
/// </summary>
/// <remarks>It skips pixels when it shrinks by more than two; the published sampler uses it for <c>--image-size-eval</c>.
/// <see cref="PillowResize"/> is the antialiased alternative.</remarks>
internal static class BicubicInterpolation
{
    private const int Taps = 4;

    /// <summary>Resizes every plane.</summary>
    /// <param name="planes">float [P, H, W].</param>
    /// <param name="height">H.</param>
    /// <param name="width">W.</param>
    /// <param name="toHeight">Rows of the result.</param>
    /// <param name="toWidth">Columns of the result.</param>
    /// <returns>float [P, toHeight, toWidth].</returns>
    /// <exception cref="ArgumentException">The length is not a whole number of planes.</exception>
    public static float[] Resize(ReadOnlySpan<float> planes, int height, int width, int toHeight, int toWidth)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(height);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(width);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(toHeight);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(toWidth);
        if (planes.Length % (height * width) != 0)
        {
            throw new ArgumentException($"{planes.Length} numbers are no whole number of planes of {width}x{height}.", nameof(planes));
        }

        var (columns, columnWeights) = Axis(width, toWidth);
        var (rows, rowWeights) = Axis(height, toHeight);
        var result = new float[planes.Length / (height * width) * toHeight * toWidth];
        var to = 0;
        for (var plane = 0; plane < planes.Length; plane += height * width)
        {
            var source = planes.Slice(plane, height * width);
            for (var y = 0; y < toHeight; y++)
            {
                for (var x = 0; x < toWidth; x++, to++)
                {
                    var sum = 0f;
                    for (var i = 0; i < Taps; i++)
                    {
                        var row = source.Slice(rows[(y * Taps) + i] * width, width);
                        var along = 0f;
                        for (var j = 0; j < Taps; j++)
                        {
                            along += row[columns[(x * Taps) + j]] * columnWeights[(x * Taps) + j];
                        }

                        sum += along * rowWeights[(y * Taps) + i];
                    }

                    result[to] = sum;
                }
            }
        }

        return result;
    }

    /// <summary>Source indices (clamped to the border) and weights, four per output pixel.</summary>
    private static (int[] Indices, float[] Weights) Axis(int from, int to)
    {
        var (indices, weights) = (new int[to * Taps], new float[to * Taps]);
        var scale = (float)from / to;
        for (var i = 0; i < to; i++)
        {
            var place = (scale * (i + 0.5f)) - 0.5f;
            var first = (int)MathF.Floor(place);
            var t = place - first;
            for (var k = 0; k < Taps; k++)
            {
                indices[(i * Taps) + k] = Math.Clamp(first - 1 + k, 0, from - 1);
                weights[(i * Taps) + k] = Weigh(MathF.Abs(t + 1 - k));
            }
        }

        return (indices, weights);
    }

    private static float Weigh(float x)
    {
        const float A = -0.75f;
        return x <= 1 ? ((((A + 2) * x) - (A + 3)) * x * x) + 1 : ((((A * x) - (5 * A)) * x) + (8 * A)) * x - (4 * A);
    }
}
