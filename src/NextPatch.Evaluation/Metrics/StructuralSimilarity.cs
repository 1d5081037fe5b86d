namespace NextPatch.Evaluation.Metrics;

/// <summary>SSIM of two images as the published evaluation of tokenizers takes it (Wang et al., "Image Quality Assessment", 2004).</summary>
/// <remarks>
/// scikit-image's <c>structural_similarity</c> with its defaults: every 7x7 window that lies inside the image, equal weights, unbiased
/// variances, K1 = 0.01, K2 = 0.03; each channel by itself, then their mean. The published call says <c>data_range=2.0</c> although its images
/// span 1, which makes the two constants four times as large and the figure higher; so it is done here, or the
/// figures could not be compared with published ones.
/// </remarks>
public static class StructuralSimilarity
{
    /// <summary>Rows and columns of the window; images must not be smaller.</summary>
    public const int Window = 7;

    private const double Range = 2 * 255;
    private const double C1 = 0.01 * Range * 0.01 * Range;
    private const double C2 = 0.03 * Range * 0.03 * Range;

    /// <summary>Mean over all windows and channels, 1 for equal images.</summary>
    /// <param name="first">RGB uint8 [height, width, 3].</param>
    /// <param name="second">RGB uint8 of the same size.</param>
    /// <param name="width">Pixels per row.</param>
    /// <exception cref="ArgumentException">The images differ in size or are smaller than the window.</exception>
    public static double Compute(ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, int width)
    {
        var height = first.Length / 3 / width;
        if (first.Length != second.Length || first.Length != height * width * 3)
        {
            throw new ArgumentException(
                $"Images of {first.Length} and {second.Length} bytes cannot be compared in rows of {width} RGB pixels.", nameof(second));
        }

        if (width < Window || height < Window)
        {
            throw new ArgumentException($"SSIM needs images of at least {Window}x{Window} pixels but got {width}x{height}.", nameof(first));
        }

        // Sums over the window's rows of each column and channel; exact, as they are whole numbers.
        var stride = width * 3;
        var columns = new Moments[stride];
        var sum = 0.0;
        for (var y = 0; y < height; y++)
        {
            for (var x = 0; x < stride; x++)
            {
                columns[x].Add(first[(y * stride) + x], second[(y * stride) + x], 1);
                if (y >= Window)
                {
                    columns[x].Add(first[((y - Window) * stride) + x], second[((y - Window) * stride) + x], -1);
                }
            }

            sum += y >= Window - 1 ? SumOfRow(columns) : 0;
        }

        return sum / ((height - Window + 1) * (width - Window + 1) * 3);
    }

    private static double SumOfRow(ReadOnlySpan<Moments> columns)
    {
        var sum = 0.0;
        for (var channel = 0; channel < 3; channel++)
        {
            var window = default(Moments);
            for (var x = channel; x < columns.Length; x += 3)
            {
                window.Add(columns[x], 1);
                if (x >= Window * 3)
                {
                    window.Add(columns[x - (Window * 3)], -1);
                }

                sum += x >= (Window - 1) * 3 ? window.Similarity() : 0;
            }
        }

        return sum;
    }

    /// <summary>Sums of values, squares and products.</summary>
    private struct Moments
    {
        private int _x;
        private int _y;
        private int _xx;
        private int _yy;
        private int _xy;

        public void Add(int x, int y, int sign)
        {
            _x += sign * x;
            _y += sign * y;
            _xx += sign * x * x;
            _yy += sign * y * y;
            _xy += sign * x * y;
        }

        public void Add(in Moments other, int sign)
        {
            _x += sign * other._x;
            _y += sign * other._y;
            _xx += sign * other._xx;
            _yy += sign * other._yy;
            _xy += sign * other._xy;
        }

        public readonly double Similarity()
        {
            const double Count = Window * Window;
            var (x, y) = (_x / Count, _y / Count);
            var (varianceX, varianceY) = ((_xx - (_x * x)) / (Count - 1), (_yy - (_y * y)) / (Count - 1));
            var covariance = (_xy - (_x * y)) / (Count - 1);
            return ((2 * x * y) + C1) * ((2 * covariance) + C2) / (((x * x) + (y * y) + C1) * (varianceX + varianceY + C2));
        }
    }
}
