namespace NextPatch.Core.Imaging;

// Shape letters used in this file: H rows, W columns.

/// <summary>Images as a decoder gives them, planes of floats, to images in bytes.</summary>
internal static class PixelPlanes
{
    /// <summary>The published rule: truncation of 127.5 x + 128, clamped to 0..255.</summary>
    /// <param name="planes">float [3, H, W], nominally in [-1, 1].</param>
    /// <param name="pixels">uint8 [H, W, 3].</param>
    public static void ToPixels(ReadOnlySpan<float> planes, Span<byte> pixels)
    {
        var plane = planes.Length / 3;
        for (var p = 0; p < plane; p++)
        {
            for (var channel = 0; channel < 3; channel++)
            {
                pixels[(p * 3) + channel] = (byte)Math.Clamp((planes[(channel * plane) + p] * 127.5f) + 128f, 0f, 255f);
            }
        }
    }
}
