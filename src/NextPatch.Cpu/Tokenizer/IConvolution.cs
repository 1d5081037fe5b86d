using NextPatch.Kernels.Simd;
using NextPatch.Kernels.Threading;

namespace NextPatch.Cpu.Tokenizer;

/// <summary>A convolution of a whole feature map.</summary>
internal interface IConvolution : IDisposable
{
    /// <summary>Channels out.</summary>
    int Outputs { get; }

    /// <param name="team">The threads.</param>
    /// <param name="maps">Working memory.</param>
    /// <param name="from">[h, w, I].</param>
    /// <param name="norm">What is applied to the input, with SiLU behind it; null: nothing.</param>
    /// <param name="to">Takes the result's shape, or has it where it is added to; other than <paramref name="from"/>.</param>
    /// <param name="add">Whether to add to what is there.</param>
    /// <typeparam name="L">Channels computed at once.</typeparam>
    void Run<L>(ThreadTeam team, TokenizerMaps maps, FeatureMap from, GroupNorm? norm, FeatureMap to, bool add = false)
        where L : unmanaged, ISimd<L>;
}
