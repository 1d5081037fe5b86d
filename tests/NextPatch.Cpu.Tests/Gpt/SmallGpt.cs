using NextPatch.Core.Configuration;
using NextPatch.Core.Tensors;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Loading;
using static TorchSharp.torch;

namespace NextPatch.Cpu.Tests.Gpt;

/// <summary>Small transformers whose head is not zero and whose norms are not one, as TorchSharp's model and as weights.</summary>
internal static class SmallGpt
{
    /// <summary>Every width is a vector's multiple.</summary>
    public static GptConfig Even { get; } = new()
    {
        Width = 128, LayerCount = 3, HeadCount = 2, FfnMultipleOf = 64, VocabularySize = 256, GridSide = 6, ClassCount = 3,
        TokenDropout = 0, ResidualDropout = 0, FfnDropout = 0, Initialization = WeightInitialization.WidthScaled,
    };

    /// <summary>No width is, and all query heads share one key/value head.</summary>
    public static GptConfig Odd { get; } = Even with
    {
        Width = 60,
        LayerCount = 2,
        HeadCount = 5,
        KvHeadCount = 1,
        FfnMultipleOf = 1,
        VocabularySize = 77,
        GridSide = 5,
    };

    public static GptConfig Named(string name) => name == "odd" ? Odd : Even;

    public static GptModel Create(GptConfig config, ulong seed = 1)
    {
        NativeBackend.EnsureLoaded();
        var model = new GptModel(config);
        GptInitializer.Initialize(model, seed);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var generator = new Generator(seed + 1);
        model.Head.normal_(0, 0.3, generator);
        foreach (var (_, norm) in model.named_parameters().Where(p => p.name.EndsWith("norm.weight", StringComparison.Ordinal)))
        {
            norm.normal_(1, 0.2, generator);
        }

        model.eval();
        return model;
    }

    public static Dictionary<string, StoredTensor> StateOf(GptModel model)
        => StateLoader.Capture(model).ToDictionary(p => p.Key, p => StoredTensor.From(p.Value));

    public static Dictionary<string, StoredTensor> State(GptConfig config, ulong seed = 1)
    {
        using var model = Create(config, seed);
        return StateOf(model);
    }
}
