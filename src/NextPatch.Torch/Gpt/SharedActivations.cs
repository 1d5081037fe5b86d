using NextPatch.Core.Configuration;
using NextPatch.Torch.Kernels;
using static TorchSharp.torch;

namespace NextPatch.Torch.Gpt;

// Shape letters: R rows (images x tokens), C width.

/// <summary>Memory that all blocks use in turn.</summary>
internal sealed class SharedActivations<T> : ActivationSet
    where T : unmanaged, IElement<T>
{
    public SharedActivations(GptConfig config)
    {
        Branch = new(config.Width, T.Type);
        BranchGradient = new(config.Width, T.Type);
        NormedGradient = new(config.Width, T.Type);
        MixedGradient = new((long)config.HeadCount * config.HeadWidth, T.Type);
        Hidden = new(config.FfnWidth, T.Type);
        HiddenGradient = new(config.FfnWidth, T.Type);
        ResidualGradient = new(config.Width, ScalarType.Float32);
        WeightGradient = new(1, T.Type);
    }

    public Activation Branch { get; }

    public Activation BranchGradient { get; }

    public Activation NormedGradient { get; }

    public Activation MixedGradient { get; }

    public Activation Hidden { get; }

    public Activation HiddenGradient { get; }

    /// <summary>Gradient of the residual stream, float [R, C].</summary>
    public Activation ResidualGradient { get; }

    /// <summary>Room for one weight's gradient in the products' type.</summary>
    public Activation WeightGradient { get; }

    /// <summary>Without <see cref="WeightGradient"/>, whose size does not depend on rows.</summary>
    protected override IReadOnlyList<Activation> OfRows => [Branch, BranchGradient, NormedGradient, MixedGradient, Hidden, HiddenGradient, ResidualGradient];

    public override void Dispose()
    {
        base.Dispose();
        WeightGradient.Dispose();
    }
}
