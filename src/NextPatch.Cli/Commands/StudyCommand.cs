using System.CommandLine;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Rendering;
using NextPatch.Cli.Studies;

namespace NextPatch.Cli.Commands;

/// <summary><c>nextpatch study</c>: named schedules against each other, over seeds.</summary>
internal static class StudyCommand
{
    public static Command Create()
    {
        var file = new Argument<string>("file") { Description = "The study: codes, model, budget, schedules, seeds, metric." };
        var codes = new Option<string?>("--codes") { Description = "Folder of codes, instead of the file's.", HelpName = "dir" };
        var tokenizer = new Option<string?>("--tokenizer")
        {
            Description = "Tokenizer of the codes, to measure images. [default: the file's, or the one that the codes remember]", HelpName = "dir",
        };
        var output = new Option<string>("--output") { Description = "Folder of the study.", HelpName = "dir", Required = true };
        var jobs = new Option<int>("--jobs")
        {
            Description = "Runs side by side, each in a process of its own; they share the processor's threads.", HelpName = "n",
            DefaultValueFactory = _ => 1,
        }.Between(1, 256);
        var piece = new Option<string?>(StudyProcess.PieceOption) { Hidden = true };
        var json = new Option<bool>("--json") { Description = "Write study.json to stdout too." };
        var command = new Command(
            "study",
            """
            Trains every schedule of a file with every seed, from the same initial weights and in the same order, measures each run at
            the same shares of its length, and writes study.json and study.html: distances and losses against FLOPs, processor
            seconds and time; means, spread and pairs by seed; planned against measured cost; samples. Learning rate and guidance are
            chosen on a seed that is not reported. Stopped or killed, the same command goes on; seeds and schedules that are
            added later are trained beside those that are there.

            Examples:
              nextpatch study recipes/study-smoke.json --codes quickstart/codes --tokenizer quickstart/tokenizer --output study
              nextpatch study my-study.json --output study --jobs 2

            In the output folder: runs/ (ordinary runs, for 'sample', 'compare' and 'report'), tuning/, study.json, study.html.
            """) { file, codes, tokenizer, output, jobs, json, piece };
        command.SetAction(async (parsed, cancellation) =>
        {
            var terminal = Terminal.From(parsed);
            using var progress = terminal.CreateProgress();
            using var outlives = StopSignals.OutliveTerminal();
            var job = new StudyJob(
                parsed.GetRequiredValue(file), parsed.GetValue(codes), parsed.GetValue(tokenizer), parsed.GetRequiredValue(output), progress);
            if (parsed.GetValue(piece) is { } name)
            {
                using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
                StudyProcess.FollowParent(stop);
                var isPieceDone = job.DoPiece(name, (flops, line) => terminal.Data.WriteLine(StudyProcess.Line(flops, line)), stop.Token);
                return isPieceDone ? ExitCode.Success : ExitCode.Cancelled;
            }

            var isDone = await job.RunAsync(parsed.GetValue(jobs), cancellation);
            progress.Dispose();
            progress.WriteLine(isDone ? $"Study: {job.PagePath}" : "Stopped. The same command goes on.");
            if (parsed.GetValue(json))
            {
                terminal.Data.WriteLine(File.ReadAllText(job.ResultsPath));
            }

            return isDone ? ExitCode.Success : ExitCode.Cancelled;
        });
        return command;
    }
}
