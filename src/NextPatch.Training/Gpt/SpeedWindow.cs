namespace NextPatch.Training.Gpt;

/// <summary>Images, tokens and seconds since the last line of metrics.</summary>
internal sealed class SpeedWindow
{
    private long _images;
    private long _tokens;
    private double _seconds;

    public double ImagesPerSecond => _images / Math.Max(_seconds, 1e-9);

    public double TokensPerSecond => _tokens / Math.Max(_seconds, 1e-9);

    public void Add(long images, long tokens, double seconds) => (_images, _tokens, _seconds) = (_images + images, _tokens + tokens, _seconds + seconds);

    public void Reset() => (_images, _tokens, _seconds) = (0, 0, 0);
}
