using NextPatch.Core.Configuration;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Tokenizer;

/// <summary>Group normalisation of the small convolutional networks.</summary>
internal static class GroupNorms
{
    private const int ChannelsPerGroup = 8;
    private const double DefaultEpsilon = 1e-5;
    private const double VqganEpsilon = 1e-6;

    /// <summary>Groups of 8 channels, or one group where that does not divide.</summary>
    /// <remarks>TorchSharp 0.107.0 leaves the weights of a new GroupNorm uninitialised (whatever the memory held); here they start at 1 and
    /// 0.</remarks>
    public static GroupNorm Create(int channels)
        => Create(channels, channels % ChannelsPerGroup == 0 ? channels / ChannelsPerGroup : 1, DefaultEpsilon);

    /// <summary>32 groups, epsilon 1e-6 (VQGAN).</summary>
    internal static GroupNorm CreateVqgan(int channels) => Create(channels, TokenizerConfig.VqganNormGroups, VqganEpsilon);

    private static GroupNorm Create(int channels, int groups, double epsilon)
    {
        var norm = GroupNorm(groups, channels, epsilon);
        using var noGradient = no_grad();
        norm.weight!.fill_(1);
        norm.bias!.fill_(0);
        return norm;
    }
}
