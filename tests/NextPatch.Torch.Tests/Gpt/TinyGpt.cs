using NextPatch.Core.Configuration;
using NextPatch.Torch.Gpt;
using static TorchSharp.torch;

namespace NextPatch.Torch.Tests.Gpt;

/// <summary>A model small enough for exact comparisons, with a head that is not zero.</summary>
internal static class TinyGpt
{
    public static GptConfig Config { get; } = new()
    {
        Width = 32, LayerCount = 2, HeadCount = 4, FfnMultipleOf = 16, VocabularySize = 20, GridSide = 4, ClassCount = 3,
        TokenDropout = 0, ResidualDropout = 0, FfnDropout = 0, Initialization = WeightInitialization.WidthScaled,
    };

    public static GptModel Create(GptConfig? config = null, ulong seed = 1)
    {
        var model = new GptModel(config ?? Config);
        GptInitializer.Initialize(model, seed);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var generator = new Generator(seed + 1);
        model.Head.normal_(0, 0.3, generator);
        return model;
    }

    /// <summary>Labels int64 [B] and codes int64 [B, T] in the current dispose scope.</summary>
    public static (Tensor Labels, Tensor Codes) Batch(GptConfig config, int size, int seed = 3)
    {
        using var generator = new Generator((ulong)seed);
        return (randint(config.ClassCount, [size], ScalarType.Int64, generator: generator),
            randint(config.VocabularySize, [size, config.CodesPerImage], ScalarType.Int64, generator: generator));
    }
}
