using System.Text.Json;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Configuration;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Loading;

namespace NextPatch.Cli.Tests;

/// <summary>
/// An untrained model of 2x2 codes with its tokenizer, laid out as a run: <c>model/step-…</c>, <c>model/latest</c>, <c>tokenizer/</c>.
/// </summary>
internal static class SmallModel
{
    public static readonly string[] ClassNames = ["circle", "star", "7"];

    public static string Write(TemporaryFolder folder, bool withTokenizer = true, string? tokenizerHash = null)
    {
        var run = folder["model"];
        var checkpoint = Path.Combine(run, "step-00000005");
        Directory.CreateDirectory(checkpoint);
        File.WriteAllText(Path.Combine(run, "latest"), "step-00000005\n");
        var model = GptPresets.Get("tiny") with { GridSide = 2, VocabularySize = SmallCodes.Vocabulary, ClassCount = ClassNames.Length };
        var config = new CheckpointConfig { Model = model, ClassNames = ClassNames, ImageSide = 8, TokenizerHash = tokenizerHash };
        File.WriteAllText(Path.Combine(checkpoint, "config.json"), JsonSerializer.Serialize(config, ConfigJson.Default.CheckpointConfig));
        File.WriteAllText(
            Path.Combine(checkpoint, "state.json"),
            JsonSerializer.Serialize(new RunState { Step = 5, Images = 80, StageSeconds = [1] }, ConfigJson.Default.RunState));
        using var gpt = new GptModel(model);
        foreach (var (seed, name) in new[] { (1ul, "model"), (2ul, "ema") })
        {
            GptInitializer.Initialize(gpt, seed);
            SafetensorsFile.Write(Path.Combine(checkpoint, name + ".safetensors"), StateLoader.Capture(gpt));
        }

        if (withTokenizer)
        {
            SmallCodes.WriteTokenizer(folder["tokenizer"], gridSide: 2);
        }

        return run;
    }
}
