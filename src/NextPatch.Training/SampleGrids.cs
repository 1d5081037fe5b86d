using NextPatch.Core.Configuration;
using NextPatch.Core.Files;
using NextPatch.Core.Generation;
using NextPatch.Sampling;
using NextPatch.Torch.Generation;
using NextPatch.Torch.Gpt;

namespace NextPatch.Training;

/// <summary>
/// Pictures of what a model draws while it is trained: a row per class or caption, the same images, by seed and class, each time.
/// </summary>
/// <param name="tokenizer">Turns codes into images; stays the caller's.</param>
/// <param name="config">The run's.</param>
/// <param name="run">Its folder; the pictures go to samples/ in it.</param>
/// <param name="prompts">Of a model of captions.</param>
internal sealed class SampleGrids(IImageTokenizer tokenizer, CheckpointConfig config, string run, IReadOnlyList<PromptFeatures>? prompts = null)
{
    /// <summary>Rows of a picture.</summary>
    public const int MaxRows = 16;

    private const int SamplesPerClass = 8;

    /// <summary>Draws and writes <c>step-00000500.png</c>.</summary>
    /// <returns>Its bytes.</returns>
    public byte[] Write(long step, GptModel model)
    {
        var rows = Math.Min(prompts?.Count ?? config.Model.ClassCount, MaxRows);
        using var engine = new TorchGenerationEngine(model, ownsModel: false);
        var picture = SampleSheet.Draw(engine, tokenizer, config, prompts, rows, SamplesPerClass, config.Training!.Seed);
        var folder = Directory.CreateDirectory(Path.Combine(run, "samples")).FullName;
        AtomicFile.Write(Path.Combine(folder, $"step-{step:D8}.png"), stream => stream.Write(picture), Path.Combine(folder, ".writing.png"));
        return picture;
    }
}
