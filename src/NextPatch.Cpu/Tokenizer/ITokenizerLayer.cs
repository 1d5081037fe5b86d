using NextPatch.Kernels.Simd;
using NextPatch.Kernels.Threading;

namespace NextPatch.Cpu.Tokenizer;

/// <summary>A layer that turns <see cref="TokenizerMaps.Current"/> into its result.</summary>
internal interface ITokenizerLayer : IDisposable
{
    void Run<L>(ThreadTeam team, TokenizerMaps maps)
        where L : unmanaged, ISimd<L>;
}
