using System.CommandLine;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Rendering;
using NextPatch.Cli.Reports;
using NextPatch.Core.Files;
using NextPatch.Training;
using Spectre.Console;

namespace NextPatch.Cli.Commands;

/// <summary><c>nextpatch compare</c>: runs beside each other.</summary>
internal static class CompareCommand
{
    private const int MostImages = 64;

    public static Command Create()
    {
        var runs = new Argument<string[]>("runs") { Description = "Folders of runs of 'train'.", Arity = ArgumentArity.OneOrMore };
        var output = new Option<string?>("--output")
        {
            Description = "Write a page: curves over images, FLOPs and seconds, and samples with the same seeds. [default: a table here]",
            HelpName = "file.html",
        };
        var images = new Option<int>("--samples")
        {
            Description = "Images per class or caption that each run draws for the page; 0 = none.", HelpName = "n", DefaultValueFactory = _ => 4,
        }.Between(0, MostImages);
        var seed = new Option<ulong>("--seed") { Description = "Seed of those images, the same for every run.", HelpName = "n" };
        var json = new Option<bool>("--json") { Description = "Write what the table says as JSON." };
        var command = new Command(
            "compare",
            """
            Sets runs beside each other: held-out loss, what they cost, figures of drawn images. Training losses of coarse patches
            are not comparable, so curves are of held-out images at p = 1 (--validate-every of 'train').

            Examples:
              nextpatch compare runs/npp runs/next-token
              nextpatch compare runs/* --output compare.html
            """) { runs, output, images, seed, json };
        command.SetAction((parsed, cancellation) =>
        {
            var terminal = Terminal.From(parsed);
            var histories = parsed.GetRequiredValue(runs).Select(RunHistory.Read).ToList();
            if (parsed.GetValue(output) is { } file)
            {
                using var progress = terminal.CreateProgress();
                var pictures = new ComparedSamples(
                    parsed.GetRequiredValue(images), parsed.GetValue(seed), progress.For("Drawing", histories.Count), progress.WriteLine)
                    .Draw(histories, cancellation);
                Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(file))!);
                AtomicFile.WriteText(file, ComparePage.Render(histories, pictures));
                progress.Dispose();
                terminal.Data.WriteLine(file);
            }
            else if (!parsed.GetValue(json))
            {
                terminal.Output.Write(TableOf(histories));
            }

            if (parsed.GetValue(json))
            {
                terminal.WriteJson(
                    histories.Select(
                    h => new { Run = h.Folder, h.UniformLoss, h.Result, Figures = h.Figures is [.., var last] ? last.Values : null }));
            }

            return Task.FromResult(ExitCode.Success);
        });
        return command;
    }

    private static Table TableOf(IReadOnlyList<RunHistory> runs)
    {
        var table = new Table().Border(TableBorder.Simple);
        var rows = ComparePage.Rows(runs);
        table.AddColumn("");
        foreach (var name in rows[0].Skip(1))
        {
            table.AddColumn(new TableColumn(Markup.Escape(name)).RightAligned());
        }

        foreach (var row in rows.Skip(1))
        {
            table.AddRow([.. row.Select(Markup.Escape)]);
        }

        return table;
    }
}
