using System.CommandLine;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Rendering;
using NextPatch.Training.Ranks;

namespace NextPatch.Cli.Training;

/// <summary>
/// A command on several processes: rank 0 writes and speaks, and what fails on one rank ends all of them, because the others would wait for it.
/// </summary>
internal static class RankBoundary
{
    /// <summary>What fails on all ranks rank 0 says first, and ends the others before they say it too.</summary>
    private static readonly TimeSpan Precedence = TimeSpan.FromSeconds(3);

    /// <param name="parsed">The command line.</param>
    /// <param name="options">How ranks meet.</param>
    /// <param name="terminal">Rank 0's.</param>
    /// <param name="body">Given the ranks, and a terminal that is silent on others than the first.</param>
    /// <returns>The exit code.</returns>
    public static int Run(ParseResult parsed, RankOptions options, Terminal terminal, Func<ICommunicator, Terminal, int> body)
    {
        var rank = LaunchEnvironment.Read(Environment.GetEnvironmentVariable)?.Rank ?? 0;
        StopSignals.IsSilent = rank > 0;
        var own = rank == 0 ? terminal : new Terminal(TextWriter.Null, TextWriter.Null);
        using var progress = own.CreateProgress();
        using var ranks = options.Open(parsed, progress);
        progress.Dispose();
        try
        {
            return body(ranks, own);
        }
#pragma warning disable CA1031 // Whatever it is: the other ranks must not wait for this one.
        catch (Exception e) when (ranks.Size > 1)
#pragma warning restore CA1031
        {
            if (ranks.Rank > 0)
            {
                Thread.Sleep(Precedence);
            }

            var code = ErrorBoundary.Explain(
                message => ErrorBoundary.Say(terminal, $"Rank {ranks.Rank} of {ranks.Size} on {Environment.MachineName}: {message}"), e);
            code = code == ExitCode.Cancelled && StopSignals.IsRequeue(ranks.Size) ? ExitCode.Requeue : code;
            ranks.Abort(code);
            return code;
        }
    }
}
