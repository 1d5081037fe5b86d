using NextPatch.Core.Configuration;
using NextPatch.Kernels.Simd;
using static TorchSharp.torch;

namespace NextPatch.Torch.Gpt.Fused;

// Shape letters: R rows (images x tokens), C width.

/// <summary>Memory that all blocks use in turn.</summary>
internal sealed class Workspace<T> : ActivationSet
    where T : unmanaged, IElement<T>
{
    public Workspace(GptConfig config)
    {
        Branch = new(config.Width, TensorMemory.TypeOf<T>());
        BranchGradient = new(config.Width, TensorMemory.TypeOf<T>());
        NormedGradient = new(config.Width, TensorMemory.TypeOf<T>());
        MixedGradient = new((long)config.HeadCount * config.HeadWidth, TensorMemory.TypeOf<T>());
        Hidden = new(config.FfnWidth, TensorMemory.TypeOf<T>());
        HiddenGradient = new(config.FfnWidth, TensorMemory.TypeOf<T>());
        ResidualGradient = new(config.Width, ScalarType.Float32);
        WeightGradient = new(1, TensorMemory.TypeOf<T>());
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
    protected override IReadOnlyList<Activation> OfRows
        => [Branch, BranchGradient, NormedGradient, MixedGradient, Hidden, HiddenGradient, ResidualGradient];

    public override void Dispose()
    {
        base.Dispose();
        WeightGradient.Dispose();
    }
}
