using NextPatch.Kernels.Simd;
using NextPatch.Kernels.Threading;

namespace NextPatch.Cpu.Tokenizer;

/// <summary>A convolution, with norm and SiLU before it where it has them.</summary>
internal sealed class ConvolutionLayer(Convolution convolution, GroupNorm? norm = null) : IDecoderLayer
{
    public void Run<L>(ThreadTeam team, DecoderMaps maps)
        where L : unmanaged, ISimd<L>
    {
        norm?.Run<L>(team, maps.Current, maps.Normed, withSilu: true);
        var from = norm is null ? maps.Current : maps.Normed;
        convolution.Run<L>(team, from, maps.Next.Shape(from.Height, from.Width, convolution.Outputs));
        maps.Swap();
    }

    public void Dispose() => convolution.Dispose();
}

/// <summary>To twice the size by four convolutions, with norm and SiLU before them where there is one.</summary>
internal sealed class UpsamplingLayer(Convolution[] phases, GroupNorm? norm = null) : IDecoderLayer
{
    public void Run<L>(ThreadTeam team, DecoderMaps maps)
        where L : unmanaged, ISimd<L>
    {
        norm?.Run<L>(team, maps.Current, maps.Normed, withSilu: true);
        var from = norm is null ? maps.Current : maps.Normed;
        maps.Next.Shape(2 * from.Height, 2 * from.Width, phases[0].Outputs);
        foreach (var phase in phases)
        {
            phase.Run<L>(team, from, maps.Next);
        }

        maps.Swap();
    }

    public void Dispose() => Array.ForEach(phases, phase => phase.Dispose());
}

/// <summary>shortcut(x) + conv(silu(norm(conv(silu(norm(x)))))).</summary>
internal sealed class ResidualLayer(
    GroupNorm norm1, Convolution convolution1, GroupNorm norm2, Convolution convolution2, Convolution? shortcut) : IDecoderLayer
{
    public void Run<L>(ThreadTeam team, DecoderMaps maps)
        where L : unmanaged, ISimd<L>
    {
        var (height, width) = (maps.Current.Height, maps.Current.Width);
        norm1.Run<L>(team, maps.Current, maps.Normed, withSilu: true);
        convolution1.Run<L>(team, maps.Normed, maps.Inner.Shape(height, width, convolution1.Outputs));
        norm2.Run<L>(team, maps.Inner, maps.Normed, withSilu: true);
        if (shortcut is not null)
        {
            shortcut.Run<L>(team, maps.Current, maps.Next.Shape(height, width, shortcut.Outputs));
            maps.Swap();
        }

        convolution2.Run<L>(team, maps.Normed, maps.Current, add: true);
    }

    public void Dispose()
    {
        convolution1.Dispose();
        convolution2.Dispose();
        shortcut?.Dispose();
    }
}
