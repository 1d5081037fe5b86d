using NextPatch.Core;
using NextPatch.Core.Generation;
using NextPatch.Core.Imaging;
using NextPatch.Core.Sampling;
using NextPatch.Sampling;
using NextPatch.Training;

namespace NextPatch.Cli.Reports;

/// <summary>Draws the same images, by seed and class, from several runs.</summary>
/// <param name="perClass">Images of each class; 0 = none.</param>
/// <param name="seed">Of all of them.</param>
/// <param name="progress">Is told the number of runs that have drawn.</param>
/// <param name="note">Receives sentences for the person who waits.</param>
internal sealed class ComparedSamples(int perClass, ulong seed, IProgress<int> progress, Action<string> note)
{
    private const int MostClasses = 10;

    /// <summary>Guidance scale; null: 2, or none where a model has no null class.</summary>
    public double? Guidance { get; init; }

    /// <returns>A PNG file per run; null where its tokenizer is not found. Empty where none is wanted.</returns>
    public IReadOnlyList<byte[]?> Draw(IReadOnlyList<RunHistory> runs, CancellationToken cancellation)
    {
        if (perClass == 0)
        {
            return [];
        }

        var classes = Math.Min(runs.Min(r => r.Config.Model.ClassCount), MostClasses);
        var labels = Enumerable.Range(0, classes * perClass).Select(i => i / perClass).ToArray();
        var pictures = new List<byte[]?>();
        foreach (var run in runs)
        {
            progress.Report(pictures.Count);
            pictures.Add(Draw(run, labels, cancellation));
        }

        return pictures;
    }

    private byte[]? Draw(RunHistory run, int[] labels, CancellationToken cancellation)
    {
        try
        {
            using var model = SampleModel.Load(run.Folder);
            if (model.Tokenizer is null)
            {
                return null;
            }

            var guidance = Guidance ?? (model.Config.Model.HasNullClass ? 2 : 1);
            var codes = model.Engine.Generate(
                new GenerationRequest { Labels = labels, Seed = seed, Sampling = new SamplingConfig { GuidanceScale = guidance } },
                cancellation: cancellation);
            var (pixels, side) = (model.Tokenizer.Decode(codes, cancellation), model.Tokenizer.Config.ImageSide);
            var sheet = new SampleSheet(model.Config.ClassNames);
            for (var i = 0; i < labels.Length; i++)
            {
                sheet.Add(labels[i], new RgbImage(side, side, pixels.AsSpan(i * side * side * 3, side * side * 3).ToArray()));
            }

            return PngWriter.Encode(sheet.Compose());
        }
        catch (NextPatchException e)
        {
            note($"{run.Folder} draws no samples: {e.Message}");
            return null;
        }
    }
}
