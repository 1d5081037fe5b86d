using System.CommandLine;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Quickstart;
using NextPatch.Cli.Rendering;
using NextPatch.Core;

namespace NextPatch.Cli.Commands;

/// <summary><c>nextpatch quickstart</c>: the main job from nothing to a report.</summary>
internal static class QuickstartCommand
{
    public static Command Create()
    {
        var output = new Option<string>("--output")
        {
            Description = "Folder that receives everything. A quickstart of the same options that was stopped there is continued; any other is "
                + "replaced.", HelpName = "dir",
            DefaultValueFactory = _ => "quickstart",
        };
        var data = new Option<string?>("--data")
        {
            Description = "Real images instead of drawn ones: folder, .tar, .tar.gz, .zip, .npz, .csv, .jsonl, CIFAR or IDX files.",
            HelpName = "path",
        };
        var minutes = new Option<double?>("--minutes")
        {
            Description = "Fit the run to this time by timing a few steps here: judge, images and steps, which then depend on the machine. "
                + "[default: fixed step counts, about 1 to 4 minutes on two cores]", HelpName = "m",
        };
        var level = new Option<int>("--patch-level")
        {
            Description = "Coarse-to-fine levels: 1 = next-token baseline, 2 = patch sides 2,1; 3 = 4,2,1; 4 = 8,4,2,1.", HelpName = "n",
            DefaultValueFactory = _ => 2,
        };
        var seed = new Option<ulong>("--seed")
        {
            Description = "Seed of everything random; equal seeds give equal results on one machine.", HelpName = "s", DefaultValueFactory = _ => 1,
        };
        var compare = new Option<bool>("--compare")
        {
            Description = "Train next-token on the same codes as well, for as many images, and write compare.html: losses, cost, samples of both. "
                + "Takes more than twice the training time.",
        };
        var text = new Option<bool>("--text")
        {
            Description = "Text to image: drawn shapes with captions, a text encoder by formula, next-token training beside it, and what images show "
                + "of their captions, measured from the pixels; combinations that were never trained on apart. About 8 minutes on two cores.",
        };
        var command = new Command(
            "quickstart",
            """
            The whole way on one machine, in minutes: draws a dataset, trains a tokenizer, encodes, trains a transformer coarse to
            fine with Next Patch Prediction, samples 500 images, has a classifier judge them, and writes report.html.

            Examples:
              nextpatch quickstart
              nextpatch quickstart --patch-level 1 --output baseline     plain next-token training, for comparison
              nextpatch quickstart --data mnist/ --output digits         real images
              nextpatch quickstart --minutes 10                          as many steps as fit
              nextpatch quickstart --data photographs --compare          and next-token training beside it
              nextpatch quickstart --text --output shapes                images from captions

            In the output folder: report.html, report.json, grid.png, samples.npz, samples/, model/, codes/, tokenizer/.
            'nextpatch sample --model quickstart/model --class heart --count 16 --output hearts' then draws more.
            """);
        command.Add(output);
        command.Add(data);
        command.Add(minutes);
        command.Add(level);
        command.Add(seed);
        command.Add(compare);
        command.Add(text);
        command.SetAction((parsed, cancellation) =>
        {
            StopSignals.LetFinish();
            var terminal = Terminal.From(parsed);
            var options = new QuickstartOptions(
                parsed.GetRequiredValue(output), parsed.GetValue(data), parsed.GetValue(minutes), parsed.GetRequiredValue(level),
                    parsed.GetRequiredValue(seed), parsed.GetValue(compare), parsed.GetValue(text));
            if (options is { Compare: true, PatchLevel: 1 })
            {
                throw new ConfigException("--compare sets Next Patch Prediction beside next-token training, which --patch-level 1 is already.");
            }

            if (options.Minutes is { } m && !(m is >= 0.5 and <= 10_000))
            {
                throw new ConfigException($"--minutes {m} must be between 0.5 and 10000.");
            }

            if (options.Text && (options.Data ?? (object?)options.Minutes) is not null)
            {
                throw new ConfigException("--text draws its own images in a fixed time: leave --data and --minutes out.");
            }

            if (options is { Text: true, PatchLevel: 1 })
            {
                throw new ConfigException("--text trains next-token beside Next Patch Prediction, so --patch-level 1 has nothing to add.");
            }

            using var progress = terminal.CreateProgress();
            var steps = new ProgressLine<QuickstartProgress>(p => progress.Report(p.Part, p.Done, p.Total, p.Extra));
            if (options.Text)
            {
                var measured = new TextQuickstart(options, steps, progress.WriteLine, cancellation).Run();
                progress.Dispose();
                Show(terminal, options, measured);
                return Task.FromResult(ExitCode.Success);
            }

            var result = new QuickstartPipeline(options, steps, progress.WriteLine, cancellation).Run();
            progress.Dispose();
            Show(terminal, options, result);
            return Task.FromResult(ExitCode.Success);
        });
        return command;
    }

    private static void Show(Terminal terminal, QuickstartOptions options, TextQuickstartResult result)
    {
        var console = terminal.Data;
        console.WriteLine($"Done in {Quantity.Duration(result.Seconds)}.");
        foreach (var row in TextQuickstartPage.Rows(result))
        {
            console.WriteLine($"  {row[0],-62}{string.Concat(row.Skip(1).Select(cell => $"{cell,9}"))}");
        }

        var (npp, plain) = (result.Runs[0], result.Runs[1]);
        console.WriteLine(
            $"  Training took {npp.TrainingSeconds:F0} s, next-token {plain.TrainingSeconds:F0} s on as many images: "
            + $"{npp.TrainingSeconds / plain.TrainingSeconds:F3} of it, planned {npp.PlannedFlops / plain.PlannedFlops:F3}.");
        console.WriteLine($"  Look at {Path.Combine(options.Output, "report.html")}");
    }

    private static void Show(Terminal terminal, QuickstartOptions options, QuickstartResult result)
    {
        var console = terminal.Data;
        console.WriteLine($"Done in {Quantity.Duration(result.Seconds)}.");
        console.WriteLine(
            $"  {result.ClassAgreement * 100:F1} % of {result.Settings.SampleCount} samples are seen as the requested class (reconstructions: "
            + $"{result.ReconstructionAgreement * 100:F1} %, real images: {result.ClassifierHeldOutAccuracy * 100:F1} %).");
        console.WriteLine(
            $"  Diversity {result.Diversity:F2} of real images, {result.CopyRate * 100:F1} % near copies, held-out loss "
            + $"{result.FinalValidationLoss:F4} ({result.SampledWeights} weights).");
        console.WriteLine(
            $"  Training cost {result.MeasuredRelativeCost:F3} of next-token training on as many images, planned {result.PlannedRelativeCost:F3}.");
        console.WriteLine($"  Look at {Path.Combine(options.Output, "report.html")}");
        if (options.Compare)
        {
            console.WriteLine($"  NPP beside next-token training: {Path.Combine(options.Output, "compare.html")}");
        }
    }
}
