using System.CommandLine;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Diagnostics;
using NextPatch.Cli.Rendering;
using NextPatch.Evaluation.Networks;

namespace NextPatch.Cli.Commands;

/// <summary><c>nextpatch fetch</c>: published weights that are too large to ship.</summary>
internal static class FetchCommand
{
    public static Command Create()
    {
        var what = new Argument<string>("what") { Description = "inception: the weights of the FID Inception network (95,628,359 bytes)." };
        what.AcceptOnlyFromAmong(FeatureNetworks.Inception);
        var output = new Option<string>("--output")
        {
            Description = "File to write. [default: where 'evaluate' looks for it, in the cache folder]", HelpName = "file",
            DefaultValueFactory = _ => PytorchFidInception.CachePath,
        };
        var from = new Option<string>("--from")
        {
            Description = "Address of the same file elsewhere, for instance on a server of yours; its checksum must be the published one.",
            HelpName = "url", DefaultValueFactory = _ => PytorchFidInception.Address,
        };
        var command = new Command(
            "fetch",
            """
            Downloads published weights and checks them by their SHA-256. A download that was interrupted continues where it ended
            when the command is given again. Nothing is fetched by any other command.

            Examples:
              nextpatch fetch inception
              nextpatch fetch inception --from https://files.example.org/pt_inception-2015-12-05-6726825d.pth
            """) { what, output, from };
        command.SetAction(async (parsed, cancellation) =>
        {
            var terminal = Terminal.From(parsed);
            using var progress = terminal.CreateProgress();
            var download = new ResumableDownload(PytorchFidInception.Hash, PytorchFidInception.Length)
            {
                OnProgress = (done, total) => progress.Report("Downloading", done, total),
            };
            var path = parsed.GetRequiredValue(output);
            var fetched = await download.RunAsync(parsed.GetRequiredValue(from), path, cancellation);
            progress.Dispose();
            terminal.Data.WriteLine(fetched ? $"Wrote {path}." : $"{path} is there already, with the published checksum.");
            return ExitCode.Success;
        });
        return command;
    }
}
