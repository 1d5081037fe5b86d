using NextPatch.Kernels.Simd;
using NextPatch.Kernels.Threading;

namespace NextPatch.Cpu.Tokenizer;

/// <summary>A layer that turns <see cref="DecoderMaps.Current"/> into its result.</summary>
internal interface IDecoderLayer : IDisposable
{
    void Run<L>(ThreadTeam team, DecoderMaps maps)
        where L : unmanaged, ISimd<L>;
}
