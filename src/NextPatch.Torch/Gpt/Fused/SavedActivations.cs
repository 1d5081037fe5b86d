using NextPatch.Core.Configuration;
using NextPatch.Kernels.Simd;
using static TorchSharp.torch;

namespace NextPatch.Torch.Gpt.Fused;

// Shape letters: R rows (images x tokens), C width, Q width of queries, keys and values together, M = H D width of mixed heads, F feed-forward width,
// B batch, H heads, N tokens.

/// <summary>What a block keeps from its forward to its backward pass.</summary>
internal sealed class SavedActivations<T> : ActivationSet
    where T : unmanaged, IElement<T>
{
    public SavedActivations(GptConfig config)
    {
        Input = new(config.Width, ScalarType.Float32);
        Normed = new(config.Width, TensorMemory.TypeOf<T>());
        Inverse = new(1, ScalarType.Float32);
        Qkv = new(config.QkvWidth, TensorMemory.TypeOf<T>());
        LogSums = new(config.HeadCount, ScalarType.Float32);
        Mixed = new((long)config.HeadCount * config.HeadWidth, TensorMemory.TypeOf<T>());
        Middle = new(config.Width, ScalarType.Float32);
        MiddleNormed = new(config.Width, TensorMemory.TypeOf<T>());
        MiddleInverse = new(1, ScalarType.Float32);
        GateUp = new(2L * config.FfnWidth, TensorMemory.TypeOf<T>());
    }

    /// <summary>Shares everything but the input with another block: the backward pass then computes it again.</summary>
    public SavedActivations(GptConfig config, SavedActivations<T> shared)
    {
        Input = new(config.Width, ScalarType.Float32);
        (Normed, Inverse, Qkv, LogSums, Mixed) = (shared.Normed, shared.Inverse, shared.Qkv, shared.LogSums, shared.Mixed);
        (Middle, MiddleNormed, MiddleInverse, GateUp) = (shared.Middle, shared.MiddleNormed, shared.MiddleInverse, shared.GateUp);
    }

    /// <summary>Residual stream before attention, float [R, C].</summary>
    public Activation Input { get; }

    public Activation Normed { get; }

    /// <summary>1 / rms of each row.</summary>
    public Activation Inverse { get; }

    /// <summary>[R, Q]; the backward pass puts its gradient here.</summary>
    public Activation Qkv { get; }

    /// <summary>Logarithms of the attention's sums, float [B, H, N].</summary>
    public Activation LogSums { get; }

    /// <summary>[R, M].</summary>
    public Activation Mixed { get; }

    /// <summary>Residual stream before the feed-forward part, float [R, C].</summary>
    public Activation Middle { get; }

    public Activation MiddleNormed { get; }

    public Activation MiddleInverse { get; }

    /// <summary>[R, 2 F]; the backward pass puts its gradient here.</summary>
    public Activation GateUp { get; }

    protected override IReadOnlyList<Activation> OfRows => [Input, Normed, Inverse, Qkv, LogSums, Mixed, Middle, MiddleNormed, MiddleInverse, GateUp];
}
