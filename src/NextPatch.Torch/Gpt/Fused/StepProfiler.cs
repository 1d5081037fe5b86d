using System.Diagnostics;

namespace NextPatch.Torch.Gpt.Fused;

/// <summary>Seconds by part of a training pass, counted always: reading the clock costs nothing beside a matrix product.</summary>
internal sealed class StepProfiler
{
    private readonly double[] _seconds = new double[Enum.GetValues<StepPart>().Length];
    private long _last;

    public IReadOnlyDictionary<StepPart, double> Seconds => Enum.GetValues<StepPart>().ToDictionary(p => p, p => _seconds[(int)p]);

    public void Start() => _last = Stopwatch.GetTimestamp();

    /// <summary>The time since the last call belongs to this part.</summary>
    public void Lap(StepPart part)
    {
        var now = Stopwatch.GetTimestamp();
        _seconds[(int)part] += Stopwatch.GetElapsedTime(_last, now).TotalSeconds;
        _last = now;
    }

    public void Reset() => Array.Clear(_seconds);
}
