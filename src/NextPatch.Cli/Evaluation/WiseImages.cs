using NextPatch.Core.Files;
using NextPatch.Core.Generation;
using NextPatch.Core.Imaging;
using NextPatch.Data.Imaging;
using NextPatch.Evaluation.Wise;
using NextPatch.Sampling;

namespace NextPatch.Cli.Evaluation;

/// <summary>Draws the images of WISE that are not there yet: {id}.png, whose index is the prompt's number.</summary>
internal static class WiseImages
{
    /// <summary>Those whose image is missing.</summary>
    public static IReadOnlyList<WisePrompt> Missing(IReadOnlyList<WisePrompt> prompts, string folder)
        => [.. prompts.Where(prompt => !File.Exists(Path.Combine(folder, prompt.FileName)))];

    /// <param name="model">With a tokenizer.</param>
    /// <param name="prompts">In order of their numbers.</param>
    /// <param name="features">Of each.</param>
    /// <param name="folder">Is made.</param>
    /// <param name="rules">Seed and rules.</param>
    /// <param name="progress">Told after every part.</param>
    /// <param name="cancellation">Images so far stay.</param>
    public static void Draw(
        SampleModel model, IReadOnlyList<WisePrompt> prompts, IReadOnlyList<PromptFeatures> features, string folder, GenerationRequest rules,
        IProgress<int> progress, CancellationToken cancellation)
    {
        Directory.CreateDirectory(folder);
        var side = model.Tokenizer!.Config.ImageSide;
        for (int first = 0, count; first < prompts.Count; first += count)
        {
            // Indices of a request follow each other, so a gap in the numbers ends it.
            var most = Math.Min(model.Engine.BatchSize, prompts.Count - first);
            for (count = 1; count < most && prompts[first + count].Id == prompts[first].Id + count;)
            {
                count++;
            }

            var part = rules with { Labels = new int[count], Prompts = [.. features.Skip(first).Take(count)], FirstIndex = prompts[first].Id };
            var pixels = model.Tokenizer.Decode(model.Engine.Generate(part, cancellation: cancellation), cancellation);
            for (var i = 0; i < count; i++)
            {
                var image = new RgbImage(side, side, pixels.AsSpan(i * side * side * 3, side * side * 3).ToArray());
                var bytes = PictureEncoder.Encode(image, PictureFormat.Png, SampleText.For(model, part, i));
                AtomicFile.Write(Path.Combine(folder, prompts[first + i].FileName), file => file.Write(bytes));
            }

            progress.Report(first + count);
        }
    }
}
