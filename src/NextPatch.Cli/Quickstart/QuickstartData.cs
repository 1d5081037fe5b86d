using NextPatch.Data.Datasets;
using NextPatch.Data.Sources;

namespace NextPatch.Cli.Quickstart;

/// <summary>The images of a quickstart: drawn ones, or a person's own.</summary>
internal static class QuickstartData
{
    private const double HeldOutShare = 0.1;

    /// <param name="settings">Name the data.</param>
    /// <param name="progress">Told while image files are decoded.</param>
    /// <param name="note">Is told what lies beside the images and is not used.</param>
    /// <param name="cancellation">Stops the reading.</param>
    public static DatasetSplit Read(
        QuickstartSettings settings, IProgress<ReadProgress> progress, Action<string> note, CancellationToken cancellation)
    {
        var side = settings.TokenizerTraining.Tokenizer.ImageSide;
        if (settings.Data is not { } path)
        {
            return ShapesDataset.Create(settings.Seed, side: side, options: settings.Shapes);
        }

        using var parts = DatasetReader.OpenParts(path, cancellation);
        if (LeftOutFiles.Describe(parts.Train.Name, parts.Train.LeftOut) is { } leftOut)
        {
            note(leftOut);
        }

        return DatasetReader.Read(parts, side, settings.Seed, HeldOutShare, progress, cancellation);
    }
}
