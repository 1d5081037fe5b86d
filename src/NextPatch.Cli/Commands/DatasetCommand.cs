using System.CommandLine;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Datasets;
using NextPatch.Cli.Rendering;
using NextPatch.Core;
using NextPatch.Data.Codes;
using NextPatch.Data.Sources;

namespace NextPatch.Cli.Commands;

/// <summary><c>nextpatch dataset inspect</c>: whether a dataset or a code store is whole, and what it holds.</summary>
internal static class DatasetCommand
{
    public static Command Create()
    {
        var command = new Command("dataset", "Looks at datasets of images and at folders of codes.");
        command.Add(CreateInspect());
        return command;
    }

    private static Command CreateInspect()
    {
        var path = new Argument<string>("path")
        {
            Description = "A dataset (folder, .tar, .tar.gz, .zip, .npz, .csv, .jsonl, CIFAR or IDX files), or a folder of codes or of features "
                + "of captions.",
        };
        var json = new Option<bool>("--json")
        {
            Description = "Write everything as JSON: layout, count, classes with counts, sizes, bad images; of codes also grid, vocabulary, "
                + "changed files.",
        };
        var grid = new Option<string?>("--grid")
        {
            Description = "Write a picture of the first images of each class to this PNG file.", HelpName = "file",
        };
        var onError = new Option<OnBadImage>("--on-error")
        {
            Description = "What to do with an image that cannot be read.", HelpName = "skip|fail", DefaultValueFactory = _ => OnBadImage.Skip,
        };
        var command = new Command(
            "inspect",
            """
            Reads every image once and says how many there are, of which classes and sizes, and which cannot be read and why.
            Of a folder of codes it checks every code and label, and the SHA-256 of the files against dataset.json. Captions of lists,
            of codes and of folders of features are counted, with their lengths and what is missing.

            Examples:
              nextpatch dataset inspect photographs --grid photographs.png
              nextpatch dataset inspect imagenette.tar --json
              nextpatch dataset inspect codes --on-error fail
              nextpatch dataset inspect features

            Exit code 1 if something is damaged and --on-error is fail, or if files of a code folder are not what was written.
            """) { path, json, grid, onError };
        command.SetAction((parsed, cancellation) => Task.FromResult(Inspect(
            Terminal.From(parsed), parsed.GetRequiredValue(path), parsed.GetValue(grid), parsed.GetValue(onError), parsed.GetValue(json),
                cancellation)));
        return command;
    }

    private static int Inspect(Terminal terminal, string path, string? grid, OnBadImage onError, bool asJson, CancellationToken cancellation)
    {
        using var progress = terminal.CreateProgress();
        var (isCodes, areFeatures) = (CodeStore.IsCodeFolder(path), CaptionInspection.IsFeatureFolder(path));
        if ((isCodes || areFeatures) && grid is not null)
        {
            throw new ConfigException(
                $"--grid needs images, but '{path}' holds {(isCodes ? "codes" : "features")}; leave it out, or name the dataset that was encoded.");
        }

        var summary = isCodes
            ? CodeFolderInspection.Describe(path, cancellation)
            : areFeatures ? CaptionInspection.OfFeatures(path, cancellation)
            : DatasetInspection.Describe(path, grid, onError, progress, cancellation);
        progress.Dispose();
        if (asJson)
        {
            terminal.WriteJson(summary);
        }
        else
        {
            DatasetTable.Write(terminal, summary);
        }

        return summary.ChangedFiles is { Count: > 0 } ? ExitCode.Failure : ExitCode.Success;
    }
}
