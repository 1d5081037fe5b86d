using NextPatch.Core;
using NextPatch.Core.Generation;
using NextPatch.Data.Codes;
using NextPatch.Sampling;
using NextPatch.Training;
using NextPatch.Training.Gpt;

namespace NextPatch.Cli.Reports;

/// <summary>Draws the same images, by seed and class or caption, from several runs.</summary>
/// <param name="perClass">Images of each class or caption; 0 = none.</param>
/// <param name="seed">Of all of them.</param>
/// <param name="progress">Is told the number of runs that have drawn.</param>
/// <param name="note">Receives sentences for the person who waits.</param>
internal sealed class ComparedSamples(int perClass, ulong seed, IProgress<int> progress, Action<string> note)
{
    /// <summary>Or captions.</summary>
    private const int MostClasses = 10;

    /// <summary>Guidance scale; null: 2, or none where a model has no null class.</summary>
    public double? Guidance { get; init; }

    /// <returns>A PNG file per run; null where it could not draw, which has been noted. Empty where none is wanted.</returns>
    public IReadOnlyList<byte[]?> Draw(IReadOnlyList<RunHistory> runs, CancellationToken cancellation)
    {
        if (perClass == 0)
        {
            return [];
        }

        var classes = runs.Where(r => r.Config.Model.Text is null).Select(r => r.Config.Model.ClassCount).Append(MostClasses).Min();
        var pictures = new List<byte[]?>();
        foreach (var run in runs)
        {
            progress.Report(pictures.Count);
            pictures.Add(Draw(run, classes, cancellation));
        }

        return pictures;
    }

    private byte[]? Draw(RunHistory run, int classes, CancellationToken cancellation)
    {
        try
        {
            using var model = SampleModel.Load(run.Folder);
            if (model.Tokenizer is null)
            {
                note($"{run.Folder} draws no samples: it remembers no tokenizer.");
                return null;
            }

            var prompts = model.Config.Model.Text is null ? null : CaptionsOf(run);
            return SampleSheet.Draw(
                model.Engine, model.Tokenizer, model.Config, prompts, prompts?.Count ?? classes, perClass, seed, Guidance, cancellation);
        }
        catch (NextPatchException e)
        {
            note($"{run.Folder} draws no samples: {e.Message}");
            return null;
        }
    }

    /// <summary>Of the held-out images that a run was given: the same for runs on the same codes.</summary>
    private static IReadOnlyList<PromptFeatures> CaptionsOf(RunHistory run)
    {
        var record = RunRecord.Read(run.Folder);
        if (record?.TextFeatures is not { Count: > 0 } features)
        {
            throw new NextPatchException($"{RunRecord.FileName} does not say where its captions are.");
        }

        using var store = CodeStore.Open(record.Codes);
        using var captions = TrainingCaptions.Open(store, features);
        return captions.Prompts(MostClasses);
    }
}
