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
        var run = new Argument<string>("run") { Description = "Folder of a run of 'train', finished or going on." };
        var command = new Command(
            "report",
            """
            Writes report.html into a run's folder, as 'train' does at its end: losses and figures over the steps, cost planned and
            measured, the newest samples, all settings. One file that needs nothing beside it.

            Examples:
              nextpatch report run
            """) { run };
        command.SetAction((parsed, _) =>
        {
            Terminal.From(parsed).Data.WriteLine(RunReport.Write(parsed.GetRequiredValue(run)));
            return Task.FromResult(ExitCode.Success);
        });
        return command;
    }
}
