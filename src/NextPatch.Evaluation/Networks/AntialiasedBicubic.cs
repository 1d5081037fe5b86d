using System.Numerics;

namespace NextPatch.Evaluation.Networks;

// Shape letters used in this file: H and W rows and columns of the image, S side of the result.

/// <summary>
/// Pillow's bicubic resize of float images (mode F): a = -0.5, widened where it shrinks; sums in float64, each pass stored as float32.
/// </summary>
/// <remarks>Source: Pillow, libImaging/Resample.c, 32bpc passes: the horizontal one first; an axis that keeps its size is left alone.
/// The result is clipped to 0..255, as clean-fid does.</remarks>
internal sealed class AntialiasedBicubic
{
    private readonly int _height;
    private readonly int _width;
    private readonly int _side;
    private readonly Taps[]? _rows;
    private readonly Taps[]? _columns;

    /// <param name="height">H.</param>
    /// <param name="width">W.</param>
    /// <param name="side">S.</param>
    public AntialiasedBicubic(int height, int width, int side)
        => (_height, _width, _side, _rows, _columns) =
            (height, width, side, height == side ? null : Axis(height, side), width == side ? null : Axis(width, side));

    /// <param name="image">uint8 [H, W, 3].</param>
    /// <param name="result">float [S, S, 3].</param>
    public void Resize(ReadOnlySpan<byte> image, Span<float> result)
    {
        var row = _side * 3;
        var wide = new float[_height * row];                                        // [H, S, 3]
        for (var y = 0; y < _height; y++)
        {
            MixColumns(image.Slice(y * _width * 3, _width * 3), wide.AsSpan(y * row, row));
        }

        var sums = new double[row];
        for (var y = 0; y < _side; y++)
        {
            if (_rows is null)
            {
                wide.AsSpan(y * row, row).CopyTo(result[(y * row)..]);
            }
            else
            {
                MixRows(wide, _rows[y], sums, result.Slice(y * row, row));
            }
        }

        for (var i = 0; i < result.Length; i++)
        {
            result[i] = Math.Clamp(result[i], 0, byte.MaxValue);
        }
    }

    private void MixColumns(ReadOnlySpan<byte> pixels, Span<float> mixed)
    {
        if (_columns is null)
        {
            for (var i = 0; i < mixed.Length; i++)
            {
                mixed[i] = pixels[i];
            }

            return;
        }

        for (var x = 0; x < _side; x++)
        {
            var (red, green, blue, at) = (0.0, 0.0, 0.0, _columns[x].First * 3);
            foreach (var weight in _columns[x].Weights)
            {
                red += pixels[at] * weight;
                green += pixels[at + 1] * weight;
                blue += pixels[at + 2] * weight;
                at += 3;
            }

            (mixed[x * 3], mixed[(x * 3) + 1], mixed[(x * 3) + 2]) = ((float)red, (float)green, (float)blue);
        }
    }

    private static void MixRows(ReadOnlySpan<float> wide, Taps taps, Span<double> sums, Span<float> mixed)
    {
        sums.Clear();
        for (var k = 0; k < taps.Weights.Length; k++)
        {
            var row = wide.Slice((taps.First + k) * mixed.Length, mixed.Length);
            var (weight, i) = (taps.Weights[k], 0);
            for (; i <= row.Length - Vector<float>.Count; i += Vector<float>.Count)
            {
                Vector.Widen(new Vector<float>(row[i..]), out var low, out var high);
                (new Vector<double>(sums[i..]) + (low * weight)).CopyTo(sums[i..]);
                (new Vector<double>(sums[(i + Vector<double>.Count)..]) + (high * weight)).CopyTo(sums[(i + Vector<double>.Count)..]);
            }

            for (; i < row.Length; i++)
            {
                sums[i] += row[i] * weight;
            }
        }

        for (var i = 0; i < mixed.Length; i++)
        {
            mixed[i] = (float)sums[i];
        }
    }

    /// <summary>Weights of the source pixels of every output pixel, normalised.</summary>
    private static Taps[] Axis(int from, int to)
    {
        var scale = (double)from / to;
        var widening = Math.Max(scale, 1);
        var support = 2 * widening;
        return [.. Enumerable.Range(0, to).Select(i =>
        {
            var centre = (i + 0.5) * scale;
            var first = Math.Max((int)(centre - support + 0.5), 0);
            var weights = new double[Math.Min((int)(centre + support + 0.5), from) - first];
            for (var k = 0; k < weights.Length; k++)
            {
                weights[k] = Weigh((k + first - centre + 0.5) / widening);
            }

            var sum = weights.Sum();
            return new Taps(first, Array.ConvertAll(weights, w => w / sum));
        })];
    }

    private static double Weigh(double x)
    {
        const double A = -0.5;
        x = Math.Abs(x);
        return x < 1 ? ((((A + 2) * x) - (A + 3)) * x * x) + 1
            : x < 2 ? ((((x - 5) * x) + 8) * x - 4) * A
            : 0;
    }

    private readonly record struct Taps(int First, double[] Weights);
}
