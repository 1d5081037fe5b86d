using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Tokenizer;

/// <summary>What lies between encoder levels and latents: block, attention, block.</summary>
internal static class VqganMiddle
{
    public static ModuleList<Module<Tensor, Tensor>> Create(int channels)
        => new(new VqganResidualBlock(channels, channels), new VqganAttention(channels), new VqganResidualBlock(channels, channels));
}
