namespace NextPatch.Training.Tokenizer;

/// <summary>The peak signal-to-noise ratio that training shows; the evaluation measures by itself.</summary>
internal static class PeakSignalToNoise
{
    /// <summary>dB over all pixels: 10 log10(255^2 / mean squared error).</summary>
    /// <param name="originals">uint8.</param>
    /// <param name="reconstructions">uint8 of the same length.</param>
    public static double Compute(ReadOnlySpan<byte> originals, ReadOnlySpan<byte> reconstructions)
    {
        long sum = 0;
        for (var i = 0; i < originals.Length; i++)
        {
            var difference = originals[i] - reconstructions[i];
            sum += difference * difference;
        }

        return 10 * Math.Log10(255.0 * 255 * originals.Length / sum);
    }
}
