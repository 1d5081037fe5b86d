using NextPatch.Kernels.Simd;
using NextPatch.Kernels.Threading;

namespace NextPatch.Cpu.Tokenizer;

/// <summary>A convolution, with norm and SiLU before it where it has them.</summary>
internal sealed class ConvolutionLayer(IConvolution convolution, GroupNorm? norm = null) : ITokenizerLayer
{
    public void Run<L>(ThreadTeam team, TokenizerMaps maps)
        where L : unmanaged, ISimd<L>
    {
        convolution.Run<L>(team, maps, maps.Current, norm, maps.Next);
        maps.Swap();
    }

    public void Dispose() => convolution.Dispose();
}

/// <summary>shortcut(x) + conv(silu(norm(conv(silu(norm(x)))))).</summary>
internal sealed class ResidualLayer(
    GroupNorm norm1, IConvolution convolution1, GroupNorm norm2, IConvolution convolution2, IConvolution? shortcut) : ITokenizerLayer
{
    public void Run<L>(ThreadTeam team, TokenizerMaps maps)
        where L : unmanaged, ISimd<L>
    {
        convolution1.Run<L>(team, maps, maps.Current, norm1, maps.Inner);
        if (shortcut is not null)
        {
            shortcut.Run<L>(team, maps, maps.Current, null, maps.Next);
            maps.Swap();
        }

        convolution2.Run<L>(team, maps, maps.Inner, norm2, maps.Current, add: true);
    }

    public void Dispose()
    {
        convolution1.Dispose();
        convolution2.Dispose();
        shortcut?.Dispose();
    }
}
