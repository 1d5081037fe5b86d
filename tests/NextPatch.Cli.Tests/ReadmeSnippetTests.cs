using NextPatch.Core.Checkpoints;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Torch.Generation;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Tokenizer;

namespace NextPatch.Cli.Tests;

/// <summary>The lines under "In an application" in README.md, with a smaller model. Change both together.</summary>
public sealed class ReadmeSnippetTests
{
    [Fact]
    public void The_application_snippet_draws_images()
    {
        using var folder = new TemporaryFolder();
        var run = SmallModel.Write(folder);

        var checkpoint = CheckpointFolder.Resolve(run);
        var config = ConfigJson.Read(Path.Combine(checkpoint, "config.json"), ConfigJson.Default.CheckpointConfig);
        var weights = Path.Combine(checkpoint, "model.safetensors");
        var model = new GptModel(config.Model);
        StateLoader.Load(model, SafetensorsFile.Read(weights), weights);
        using IGenerationEngine engine = new TorchGenerationEngine(model); // disposes the model
        using var tokenizer = VqTokenizer.Load(folder["tokenizer"]);
        var codes = engine.Generate(new GenerationRequest { Labels = [0, 2], Seed = 7 });
        var pixels = tokenizer.DecodePixels(codes);

        Assert.Equal(2 * 8 * 8 * 3, pixels.Length);
    }
}
