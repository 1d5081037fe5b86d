using NextPatch.Core.Imaging;

namespace NextPatch.Data.Imaging;

/// <summary>Composes images into one labelled sheet.</summary>
internal static class ImageGrid
{
    private const byte Paper = 24;
    private const byte Ink = 230;

    /// <summary>Lays images out row by row, enlarged without smoothing so that every pixel can be seen.</summary>
    /// <param name="images">Images of one size; at least one.</param>
    /// <param name="columns">Images per row; the last row may be shorter.</param>
    /// <param name="scale">Sheet pixels per image pixel.</param>
    /// <param name="rowLabels">Text left of each row, for instance class names.</param>
    /// <param name="captions">Text below each image, cut to the width of the image.</param>
    /// <param name="padding">Pixels around each image.</param>
    /// <exception cref="ArgumentException">No images, images of different sizes, or another number of texts than of rows or images.</exception>
    public static RgbImage Compose(
        IReadOnlyList<RgbImage> images,
        int columns,
        int scale = 1,
        IReadOnlyList<string>? rowLabels = null,
        IReadOnlyList<string>? captions = null,
        int padding = 2)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(columns);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(scale);
        ArgumentOutOfRangeException.ThrowIfNegative(padding);
        Check(images, columns, rowLabels, captions);

        var rows = RowCount(images.Count, columns);
        var textScale = Math.Max(1, scale / 2);
        var (width, height) = (images[0].Width * scale, images[0].Height * scale);
        var margin = rowLabels is null ? 0 : padding + rowLabels.Max(l => BitmapFont.Measure(l, textScale)) + (2 * textScale);
        var captionHeight = captions is null ? 0 : (BitmapFont.Height + 2) * textScale;
        var (stepX, stepY) = (width + padding, height + captionHeight + padding);
        var sheet = new RgbImage(margin + padding + (columns * stepX), padding + (rows * stepY));
        sheet.Pixels.AsSpan().Fill(Paper);

        for (var i = 0; i < images.Count; i++)
        {
            var (left, top) = (margin + padding + (i % columns * stepX), padding + (i / columns * stepY));
            Enlarge(images[i], sheet, left, top, scale);
            if (captions is not null)
            {
                // One pixel of the last character's advance is space.
                var fitting = Math.Min(captions[i].Length, (width + textScale) / (BitmapFont.Advance * textScale));
                BitmapFont.Draw(sheet, captions[i][..fitting], left, top + height + textScale, textScale, Ink);
            }
        }

        for (var row = 0; row < (rowLabels is null ? 0 : rows); row++)
        {
            var top = padding + (row * stepY) + ((height - (BitmapFont.Height * textScale)) / 2);
            BitmapFont.Draw(sheet, rowLabels![row], padding, top, textScale, Ink);
        }

        return sheet;
    }

    private static void Check(IReadOnlyList<RgbImage> images, int columns, IReadOnlyList<string>? rowLabels, IReadOnlyList<string>? captions)
    {
        if (images.Count == 0)
        {
            throw new ArgumentException("A grid needs at least one image.", nameof(images));
        }

        if (images.FirstOrDefault(i => i.Width != images[0].Width || i.Height != images[0].Height) is { } other)
        {
            throw new ArgumentException(
                $"The images of a grid must have one size, but there are {images[0].Width}x{images[0].Height} and {other.Width}x{other.Height}.",
                    nameof(images));
        }

        if (rowLabels is not null && rowLabels.Count != RowCount(images.Count, columns))
        {
            throw new ArgumentException(
                $"{images.Count} images in {columns} columns make {RowCount(images.Count, columns)} rows but got {rowLabels.Count} row labels.",
                nameof(rowLabels));
        }

        if (captions is not null && captions.Count != images.Count)
        {
            throw new ArgumentException($"Got {captions.Count} captions for {images.Count} images.", nameof(captions));
        }
    }

    private static int RowCount(int images, int columns) => (images + columns - 1) / columns;

    private static void Enlarge(RgbImage image, RgbImage sheet, int left, int top, int scale)
    {
        for (var y = 0; y < image.Height * scale; y++)
        {
            var from = y / scale * image.Width * 3;
            var to = (((top + y) * sheet.Width) + left) * 3;
            for (var x = 0; x < image.Width * scale; x++)
            {
                image.Pixels.AsSpan(from + (x / scale * 3), 3).CopyTo(sheet.Pixels.AsSpan(to + (x * 3)));
            }
        }
    }
}
