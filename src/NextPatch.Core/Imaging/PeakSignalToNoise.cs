namespace NextPatch.Core.Imaging;

/// <summary>How near pixels are to their originals (PSNR).</summary>
internal static class PeakSignalToNoise
{
    /// <summary>dB over all pixels: 10 log10(255^2 / mean squared error); infinite for equal images.</summary>
    /// <param name="originals">uint8, any shape.</param>
    /// <param name="reconstructions">uint8 of the same length.</param>
    /// <exception cref="ArgumentException">The lengths differ.</exception>
    public static double Compute(ReadOnlySpan<byte> originals, ReadOnlySpan<byte> reconstructions)
    {
        if (originals.Length != reconstructions.Length)
        {
            throw new ArgumentException(
                $"{originals.Length} bytes of originals cannot be compared with {reconstructions.Length} of reconstructions.",
                nameof(reconstructions));
        }

        long sum = 0;
        for (var i = 0; i < originals.Length; i++)
        {
            var difference = originals[i] - reconstructions[i];
            sum += difference * difference;
        }

        return 10 * Math.Log10(255.0 * 255 * originals.Length / sum);
    }
}
