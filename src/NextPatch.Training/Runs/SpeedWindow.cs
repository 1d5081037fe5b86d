namespace NextPatch.Training.Runs;

/// <summary>Images, tokens and seconds since the last line of metrics.</summary>
internal sealed class SpeedWindow
{
    private long _images;
    private long _tokens;
    private double _seconds;
    private double _waited;

    public double ImagesPerSecond => _images / Math.Max(_seconds, 1e-9);

    public double TokensPerSecond => _tokens / Math.Max(_seconds, 1e-9);

    /// <summary>Share of the time that training waited for data.</summary>
    public double DataWaitShare => _waited / Math.Max(_seconds, 1e-9);

    public void Add(long images, long tokens, double seconds, double waited)
        => (_images, _tokens, _seconds, _waited) = (_images + images, _tokens + tokens, _seconds + seconds, _waited + waited);

    public void Reset() => (_images, _tokens, _seconds, _waited) = (0, 0, 0, 0);
}
