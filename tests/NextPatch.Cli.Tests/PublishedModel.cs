using NextPatch.Core.Checkpoints.PyTorch;
using NextPatch.Core.Configuration;
using NextPatch.Core.Tensors;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Loading;

namespace NextPatch.Cli.Tests;

/// <summary>A small untrained model as the published code saves one: wrapped names, the rotary table, an average, counters and settings.</summary>
internal static class PublishedModel
{
    public const int VocabularySize = 32;

    /// <returns>The path.</returns>
    public static string Write(string path, int classCount = 3, int gridSide = 2)
    {
        using var gpt = new GptModel(GptPresets.Get("tiny") with { GridSide = gridSide, VocabularySize = VocabularySize, ClassCount = classCount });
        PyTorchFile.Write(path, new Dictionary<object, object?>
        {
            ["model"] = Wrapped(gpt, 1),
            ["ema"] = Wrapped(gpt, 2),
            ["optimizer"] = new Dictionary<object, object?>
            {
                ["state"] = new Dictionary<object, object?>
                {
                    [0L] = new Dictionary<object, object?> { ["exp_avg"] = HostTensor.FromSingles([1], [0]) },
                },
            },
            ["steps"] = 70L,
            ["args"] = new Dictionary<object, object?> { ["lr"] = 1e-4, ["gpt_model"] = "tiny", ["limit"] = double.PositiveInfinity },
        });
        return path;
    }

    private static List<KeyValuePair<string, StoredTensor>> Wrapped(GptModel gpt, ulong seed)
    {
        GptInitializer.Initialize(gpt, seed);
        var (side, half) = (gpt.Config.GridSide, gpt.Config.HeadWidth / 2);
        var table = RotaryEmbedding2d.Table(side, gpt.Config.HeadWidth, 1, gpt.Config.RopeBase);
        return
        [
            KeyValuePair.Create("module.freqs_cis", StoredTensor.From(HostTensor.FromSingles([1 + (side * side), half, 2], table))),
            .. StateLoader.Capture(gpt).Select(p => KeyValuePair.Create("module." + p.Key, StoredTensor.From(p.Value))),
        ];
    }
}
