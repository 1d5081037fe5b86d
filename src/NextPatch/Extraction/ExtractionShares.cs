namespace NextPatch.Extraction;

/// <summary>Where the time of an extraction went: shares of the seconds of all threads, 1 together.</summary>
/// <param name="Decode">Reading and decoding of image files.</param>
/// <param name="Preprocess">Resizing and cropping.</param>
/// <param name="Encode">The tokenizer, on all of its threads.</param>
/// <param name="EncoderWaited">Share of the wall time in which the tokenizer waited for images.</param>
public sealed record ExtractionShares(double Decode, double Preprocess, double Encode, double EncoderWaited)
{
    /// <param name="decode">Seconds of all threads.</param>
    /// <param name="preprocess">Seconds of all threads.</param>
    /// <param name="encode">Wall seconds of the tokenizer.</param>
    /// <param name="threads">Threads that it computes on.</param>
    /// <param name="wall">Wall seconds of everything.</param>
    /// <param name="waited">Wall seconds in which it waited.</param>
    internal static ExtractionShares? Create(double decode, double preprocess, double encode, int threads, double wall, double waited)
    {
        var all = decode + preprocess + (encode * threads);
        return all > 0 && wall > 0 ? new ExtractionShares(decode / all, preprocess / all, encode * threads / all, waited / wall) : null;
    }
}
