using System.CommandLine;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Rendering;
using NextPatch.Cli.Reports;

namespace NextPatch.Cli.Commands;

/// <summary><c>nextpatch report</c>: the page of a run, made again.</summary>
internal static class ReportCommand
{
    public static Command Create()
    {
        var run = new Argument<string>("run") { Description = "Folder of a run of 'train' or 'tokenizer train', finished or going on." };
        var command = new Command(
            "report",
            """
            Writes report.html into a run's folder, as 'train' and 'tokenizer train' do at their end: losses and figures over the
            steps, cost planned and measured, the newest pictures, all settings. One file that needs nothing beside it.

            Examples:
              nextpatch report run
              nextpatch report tok
            """) { run };
        command.SetAction((parsed, _) =>
        {
            var folder = parsed.GetRequiredValue(run);
            Terminal.From(parsed).Data.WriteLine(TokenizerReport.IsRun(folder) ? TokenizerReport.Write(folder) : RunReport.Write(folder));
            return Task.FromResult(ExitCode.Success);
        });
        return command;
    }
}
