namespace NextPatch.Core.Imaging;

// Shape letters used in this file: N images, H rows, W columns.

/// <summary>A sheet of images as the published sampler saves it: torchvision's <c>save_image(normalize=True, value_range=(-1, 1))</c>.</summary>
/// <remarks>It rounds where single images are truncated, so one image may differ by a level between the two.</remarks>
internal static class TorchvisionGrid
{
    private const int Padding = 2;

    /// <summary>Lays images out row by row on black; missing ones in the last row stay black.</summary>
    /// <param name="planes">float [N, 3, H, W], clamped to [-1, 1] here.</param>
    /// <param name="height">H.</param>
    /// <param name="width">W.</param>
    /// <param name="columns">Images per row; published: 4. Fewer images make a narrower sheet.</param>
    /// <exception cref="ArgumentException">The length is not a whole number of images, or there is none.</exception>
    public static RgbImage Compose(ReadOnlySpan<float> planes, int height, int width, int columns)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(columns);
        var plane = height * width;
        var count = planes.Length / (3 * plane);
        if (count == 0 || planes.Length != count * 3 * plane)
        {
            throw new ArgumentException($"{planes.Length} numbers are no whole number of images of {width}x{height}, or none.", nameof(planes));
        }

        // A single image gets no border, as in torchvision.
        var (padding, across) = (count == 1 ? 0 : Padding, Math.Min(columns, count));
        var sheet = new RgbImage(padding + (across * (width + padding)), padding + ((count + across - 1) / across * (height + padding)));
        for (var i = 0; i < count; i++)
        {
            var (left, top) = (padding + (i % across * (width + padding)), padding + (i / across * (height + padding)));
            for (var p = 0; p < plane; p++)
            {
                var to = (((top + (p / width)) * sheet.Width) + left + (p % width)) * 3;
                for (var channel = 0; channel < 3; channel++)
                {
                    sheet.Pixels[to + channel] = ToByte(planes[(((i * 3) + channel) * plane) + p]);
                }
            }
        }

        return sheet;
    }

    private static byte ToByte(float value)
    {
        var unit = (Math.Clamp(value, -1f, 1f) + 1f) / 2f;
        return (byte)Math.Clamp((unit * 255f) + 0.5f, 0f, 255f);
    }
}
