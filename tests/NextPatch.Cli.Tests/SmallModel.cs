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

    /// <param name="folder">Takes it.</param>
    /// <param name="withTokenizer">Whether a tokenizer lies beside it.</param>
    /// <param name="tokenizerHash">What the model remembers.</param>
    /// <param name="takesPrompts">Of up to twelve tokens, by the text encoder that needs no file; its head is not zero, so that prompts
    /// matter.</param>
    public static string Write(TemporaryFolder folder, bool withTokenizer = true, string? tokenizerHash = null, bool takesPrompts = false)
    {
        var run = folder["model"];
        var checkpoint = Path.Combine(run, "step-00000005");
        Directory.CreateDirectory(checkpoint);
        File.WriteAllText(Path.Combine(run, "latest"), "step-00000005\n");
        var model = GptPresets.Get("tiny") with { GridSide = 2, VocabularySize = SmallCodes.Vocabulary, ClassCount = ClassNames.Length };
        model = takesPrompts ? model with { ClassCount = 1, Text = new TextCondition { FeatureWidth = 128, TokenCount = 12 } } : model;
        var config = new CheckpointConfig { Model = model, ClassNames = ClassNames, ImageSide = 8, TokenizerHash = tokenizerHash };
        config = takesPrompts
            ? config with
            {
                ClassNames = [],
                TextFeatures = [new TextFeatureOrigin
                {
                    Encoder = "formula-v1", EncoderHash = "formula-v1", TokenizerHash = "formula-v1", Clean = "published", MaxTokens = 12,
                }],
            }
            : config;
        File.WriteAllText(Path.Combine(checkpoint, "config.json"), JsonSerializer.Serialize(config, ConfigJson.Default.CheckpointConfig));
        File.WriteAllText(
            Path.Combine(checkpoint, "state.json"),
            JsonSerializer.Serialize(new RunState { Step = 5, Images = 80, StageSeconds = [1] }, ConfigJson.Default.RunState));
        using var gpt = new GptModel(model);
        foreach (var (seed, name) in new[] { (1ul, "model"), (2ul, "ema") })
        {
            GptInitializer.Initialize(gpt, seed);
            if (takesPrompts)
            {
                using var noGrad = TorchSharp.torch.no_grad();
                using var generator = new TorchSharp.torch.Generator(seed);
                gpt.Head.normal_(0, 0.3, generator);
            }

            SafetensorsFile.Write(Path.Combine(checkpoint, name + ".safetensors"), StateLoader.Capture(gpt));
        }

        if (withTokenizer)
        {
            SmallCodes.WriteTokenizer(folder["tokenizer"], gridSide: 2);
        }

        return run;
    }
}
