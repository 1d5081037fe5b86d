using NextPatch.Core.Tensors;
using NextPatch.Kernels.Simd;
using NextPatch.Kernels.Threading;

namespace NextPatch.Cpu.Tokenizer;

/// <summary>To twice the size, 4x4, stride 2, padding 1: four convolutions of 2x2.</summary>
/// <param name="weight">[I, O, 4, 4].</param>
/// <param name="bias">[O].</param>
internal sealed class TransposedConvolution(StoredTensor weight, HostTensor bias) : IConvolution
{
    private readonly Convolution[] _phases = [.. Enumerable.Range(0, 4).Select(i => Convolution.CreateTransposed(weight, bias, (i / 2, i % 2)))];

    public int Outputs => _phases[0].Outputs;

    public void Run<L>(ThreadTeam team, TokenizerMaps maps, FeatureMap from, GroupNorm? norm, FeatureMap to, bool add = false)
        where L : unmanaged, ISimd<L>
    {
        if (norm is not null)
        {
            norm.Run<L>(team, from, maps.Normed, withSilu: true);
            from = maps.Normed;
        }

        if (!add)
        {
            to.Shape(2 * from.Height, 2 * from.Width, Outputs);
        }

        foreach (var phase in _phases)
        {
            phase.Fill<L>(team, from, to, add);
        }
    }

    public void Dispose() => Array.ForEach(_phases, phase => phase.Dispose());
}
