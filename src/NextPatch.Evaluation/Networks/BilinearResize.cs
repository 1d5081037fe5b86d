using System.Numerics;

namespace NextPatch.Evaluation.Networks;

// Shape letters used in this file: H and W rows and columns of the image, S side of the result.

/// <summary>
/// Bilinear resizing in float32 without antialiasing: of every output pixel four source pixels, first mixed along rows, then along columns.
/// </summary>
/// <remarks>Sources: TensorFlow 1's ResizeBilinear (align_corners false), equal to its last bit; PyTorch's upsample_bilinear2d (align_corners
/// false).</remarks>
internal sealed class BilinearResize
{
    private readonly int _side;
    private readonly int _width;
    private readonly Axis _rows;
    private readonly Axis _columns;

    /// <param name="height">H.</param>
    /// <param name="width">W.</param>
    /// <param name="side">S.</param>
    /// <param name="halfPixel">PyTorch's pixel centres; else TensorFlow 1's corners.</param>
    public BilinearResize(int height, int width, int side, bool halfPixel)
        => (_side, _width, _rows, _columns) = (side, width, new Axis(height, side, halfPixel), new Axis(width, side, halfPixel));

    /// <param name="image">uint8 [H, W, 3].</param>
    /// <param name="result">float [S, S, 3].</param>
    public void Resize(ReadOnlySpan<byte> image, Span<float> result)
    {
        var row = _side * 3;
        var (above, below, source) = (new float[row], new float[row], new float[_width * 3]);
        var (aboveRow, belowRow) = (-1, -1);
        for (var y = 0; y < _side; y++)
        {
            var (low, high) = (_rows.Low[y], _rows.High[y]);
            if (low != aboveRow)
            {
                // Going down, the lower row of before is often the upper one now.
                (above, below, aboveRow, belowRow) = (below, above, belowRow, aboveRow);
                MixColumns(image, low, ref aboveRow, source, above);
            }

            MixColumns(image, high, ref belowRow, source, below);
            MixRows(above, below, _rows.Share[y], result.Slice(y * row, row));
        }
    }

    private void MixColumns(ReadOnlySpan<byte> image, int wanted, ref int present, Span<float> source, Span<float> mixed)
    {
        if (present == wanted)
        {
            return;
        }

        present = wanted;
        var pixels = image.Slice(wanted * source.Length, source.Length);
        for (var i = 0; i < source.Length; i++)
        {
            source[i] = pixels[i];
        }

        for (var x = 0; x < _side; x++)
        {
            var left = source.Slice(_columns.Low[x] * 3, 3);
            var right = source.Slice(_columns.High[x] * 3, 3);
            var to = mixed.Slice(x * 3, 3);
            var share = _columns.Share[x];
            to[0] = left[0] + ((right[0] - left[0]) * share);
            to[1] = left[1] + ((right[1] - left[1]) * share);
            to[2] = left[2] + ((right[2] - left[2]) * share);
        }
    }

    private static void MixRows(ReadOnlySpan<float> above, ReadOnlySpan<float> below, float share, Span<float> mixed)
    {
        var i = 0;
        for (; i <= mixed.Length - Vector<float>.Count; i += Vector<float>.Count)
        {
            var (a, b) = (new Vector<float>(above[i..]), new Vector<float>(below[i..]));
            (a + ((b - a) * share)).CopyTo(mixed[i..]);
        }

        for (; i < mixed.Length; i++)
        {
            mixed[i] = above[i] + ((below[i] - above[i]) * share);
        }
    }

    /// <summary>Per output pixel the two source pixels along an axis and the share of the second, rounded where the originals round.</summary>
    private sealed class Axis
    {
        public Axis(int from, int to, bool halfPixel)
        {
            (Low, High, Share) = (new int[to], new int[to], new float[to]);
            var scale = (float)from / to;
            for (var i = 0; i < to; i++)
            {
                // PyTorch's scale is a float32, but its compilers fuse what follows, so that places are not rounded.
                var place = halfPixel ? Math.Max((scale * (i + 0.5)) - 0.5, 0) : i * scale;
                Low[i] = Math.Min((int)place, from - 1);
                High[i] = Math.Min(Low[i] + 1, from - 1);
                Share[i] = (float)(place - Low[i]);
            }
        }

        public int[] Low { get; }

        public int[] High { get; }

        public float[] Share { get; }
    }
}
