using System.Diagnostics;
using System.Numerics;
using NextPatch.Cpu.Memory;
using NextPatch.Kernels.Threading;

namespace NextPatch.Cli.Benchmarking.Decoding;

/// <summary>How fast all threads together read memory: they add up the floats of an array that no cache holds.</summary>
internal sealed unsafe class ReadBandwidth : IDisposable
{
    private const int PartBytes = 96 << 10;
    private const int PhaseParts = 32;
    private const int Phases = 128;

    private readonly AlignedMemory _memory = new((nint)PartBytes * PhaseParts * Phases);
    private readonly ThreadTeam _team;
    private readonly float* _start;
    private readonly float[] _sums = new float[PhaseParts * 16];
    private readonly double[] _fastest = new double[Phases];
    private readonly Action<int, int> _part;
    private int _phase;

    public ReadBandwidth(int threads)
    {
        _team = new ThreadTeam(threads);
        _start = _memory.Take<float>((nint)PartBytes * PhaseParts * Phases / sizeof(float));
        _part = Sum;
        Array.Fill(_fastest, double.MaxValue);
    }

    /// <summary>Of the fastest pass over every part so far.</summary>
    public double BytesPerSecond => PartBytes * PhaseParts * (double)Phases / _fastest.Sum();

    public void Measure()
    {
        for (_phase = 0; _phase < Phases; _phase++)
        {
            var start = Stopwatch.GetTimestamp();
            _team.Run(PhaseParts, _part);
            _fastest[_phase] = Math.Min(_fastest[_phase], Stopwatch.GetElapsedTime(start).TotalSeconds);
        }
    }

    public void Dispose()
    {
        _team.Dispose();
        _memory.Dispose();
    }

    private void Sum(int part, int thread)
    {
        var at = _start + (((nint)(_phase * PhaseParts) + part) * (PartBytes / sizeof(float)));
        Vector<float> a = default, b = default, c = default, d = default;
        for (var end = at + (PartBytes / sizeof(float)); at < end; at += 4 * Vector<float>.Count)
        {
            a += Vector.Load(at);
            b += Vector.Load(at + Vector<float>.Count);
            c += Vector.Load(at + (2 * Vector<float>.Count));
            d += Vector.Load(at + (3 * Vector<float>.Count));
        }

        _sums[part * 16] = Vector.Sum(a + b + c + d);
    }
}
