using System.Diagnostics;

namespace NextPatch.Cli.Benchmarking;

/// <summary>How fast all cores together copy memory that no cache holds.</summary>
internal sealed class CopySpeed
{
    private const int Floats = 32 << 20;
    private readonly float[] _from = GC.AllocateUninitializedArray<float>(Floats);
    private readonly float[] _to = GC.AllocateUninitializedArray<float>(Floats);

    public CopySpeed()
    {
        Array.Fill(_from, 1f);
        Array.Fill(_to, 2f);
    }

    /// <returns>Bytes read plus bytes written per second, best of three.</returns>
    public double Measure()
    {
        var best = double.MaxValue;
        var parts = Environment.ProcessorCount;
        for (var run = 0; run < 3; run++)
        {
            var started = Stopwatch.GetTimestamp();
            Parallel.For(0, parts, i => _from.AsSpan(Floats / parts * i, Floats / parts).CopyTo(_to.AsSpan(Floats / parts * i)));
            best = Math.Min(best, Stopwatch.GetElapsedTime(started).TotalSeconds);
        }

        return 2.0 * sizeof(float) * Floats / best;
    }
}
