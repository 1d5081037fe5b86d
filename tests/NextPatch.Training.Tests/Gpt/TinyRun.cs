using NextPatch.Core.Configuration;
using NextPatch.Core.Sampling;
using NextPatch.Data.Codes;
using NextPatch.Training.Gpt;

namespace NextPatch.Training.Tests.Gpt;

/// <summary>Codes and settings of a run that takes a second: 4x4 grids whose codes follow from the class.</summary>
internal static class TinyRun
{
    public const int Grid = 4;
    public const int Vocabulary = 12;
    public const int Classes = 3;

    public static GptConfig Model { get; } = new()
    {
        Width = 16, LayerCount = 2, HeadCount = 2, FfnMultipleOf = 8, VocabularySize = Vocabulary, GridSide = Grid, ClassCount = Classes,
        TokenDropout = 0.1, ResidualDropout = 0.1, FfnDropout = 0.1, AttentionDropout = 0.1, Initialization = WeightInitialization.WidthScaled,
    };

    public static TrainingConfig Training { get; } = new()
    {
        BatchSize = 6, Steps = 12, PatchLevel = 2, LearningRate = 1e-2, EndLearningRate = 1e-3, WarmupShare = 0.2, EmaDecay = 0.9, Seed = 5,
    };

    public static CheckpointConfig Config(TrainingConfig? training = null, GptConfig? model = null)
        => new() { Model = model ?? Model, Training = training ?? Training, ClassNames = ["a", "b", "c"] };

    /// <summary>Writes a store of <paramref name="count"/> images, the last eight of them held out.</summary>
    public static string WriteCodes(string folder, int count = 40, int vocabulary = Vocabulary)
    {
        var random = new CounterRandom(1, RandomStream.Drawing);
        var labels = Enumerable.Range(0, count).Select(i => i % Classes).ToArray();
        var codes = new int[count * Grid * Grid];
        for (var i = 0; i < codes.Length; i++)
        {
            codes[i] = ((labels[i / 16] * 4) + (i % 4) + (random.Uniform(i, 0) < 0.1 ? 1 : 0)) % vocabulary;
        }

        CodeStore.Write(folder, new CodeManifest
        {
            Name = "tiny", GridSide = Grid, VocabularySize = vocabulary, ClassNames = ["a", "b", "c"], Count = count, HeldOutCount = 8,
        }, codes, labels);
        return folder;
    }

    public static TrainingResult Train(string codes, GptRunOptions options, CheckpointConfig? config = null, CancellationToken cancellation = default)
    {
        using var store = CodeStore.Open(codes);
        using var trainer = new GptTrainer(config ?? Config(), store, options);
        return trainer.Run(cancellation);
    }

    public static byte[] Weights(string checkpoint, string name = "model") => File.ReadAllBytes(Path.Combine(checkpoint, name + ".safetensors"));
}
