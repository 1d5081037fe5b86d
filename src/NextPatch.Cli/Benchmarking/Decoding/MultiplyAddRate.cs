using System.Runtime.Intrinsics;
using NextPatch.Cpu.Memory;
using NextPatch.Kernels.Gemm;
using NextPatch.Kernels.Simd;
using NextPatch.Kernels.Threading;

namespace NextPatch.Cli.Benchmarking.Decoding;

/// <summary>Multiply-adds a second in float of all threads together, of a product whose factors stay in the first-level caches.</summary>
internal sealed unsafe class MultiplyAddRate : IDisposable
{
    private const int Rows = 24;
    private const int Depth = 128;
    private const int Parts = 64;
    private const int Floats = (Rows * Depth) + (Depth * PanelLayout.UnitColumns) + (Rows * PanelLayout.UnitColumns);

    private readonly ThreadTeam _team = new(Environment.ProcessorCount);
    private readonly AlignedMemory _memory = new(AlignedMemory.Room<float>(Floats) * Environment.ProcessorCount);
    private readonly float* _start;
    private double _fastest = double.MaxValue;

    public MultiplyAddRate() => _start = _memory.Take<float>(Floats * Environment.ProcessorCount);

    /// <summary>Of the fastest round so far.</summary>
    public double PerSecond => (double)Parts * Rows * Depth * PanelLayout.UnitColumns / _fastest;

    public void Measure()
    {
        for (var i = 0; i < Parts; i++)
        {
            _fastest = Math.Min(_fastest, StepSeconds.Measure(() => _team.Run(Parts, (_, thread) => Multiply(thread))));
        }
    }

    public void Dispose()
    {
        _team.Dispose();
        _memory.Dispose();
    }

    private void Multiply(int thread)
    {
        var x = _start + ((nint)thread * Floats);
        var weights = x + (Rows * Depth);
        var result = weights + (Depth * PanelLayout.UnitColumns);
        var range = new PanelRange<Fp32>((Fp32*)weights, Depth * PanelLayout.Columns, 0, PanelLayout.UnitColumns);
        if (Vector512.IsHardwareAccelerated)
        {
            SkinnyGemm<Simd16, Fp32>.Multiply(Rows, Depth, range, x, Depth, result);
        }
        else if (Vector256.IsHardwareAccelerated)
        {
            SkinnyGemm<Simd8, Fp32>.Multiply(Rows, Depth, range, x, Depth, result);
        }
        else
        {
            SkinnyGemm<Simd4, Fp32>.Multiply(Rows, Depth, range, x, Depth, result);
        }
    }
}
