using System.CommandLine;
using System.CommandLine.Invocation;
using NextPatch.Benchmarks.Evaluation;
using NextPatch.Benchmarks.Extraction;
using NextPatch.Benchmarks.Formats;
using NextPatch.Benchmarks.Serving;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Rendering;

namespace NextPatch.Benchmarks;

/// <summary>Commands beside the BenchmarkDotNet classes: measurements of whole ways and processes, and files to measure with.</summary>
internal static class BenchCommands
{
    private static readonly RootCommand Root = new("Measurements that are no benchmark classes.")
    {
        EncodeBenchCommand.Create(), EvaluateBenchCommand.Create(),
        FormatCommands.CreateWeights(), FormatCommands.CreateTokenizer(), FormatCommands.CreateSpeed(), LoadCommand.Create(),
    };

    /// <summary>Whether these arguments name one of the commands.</summary>
    public static bool Know(string[] args) => args is [var name, ..] && Root.Subcommands.Any(c => c.Name == name);

    /// <returns>An <see cref="ExitCode"/>, as the commands of the tool give it.</returns>
    public static Task<int> RunAsync(string[] args, TextWriter output, TextWriter error, CancellationToken cancellation) => ErrorBoundary.RunAsync(
        new Terminal(output, error), async () =>
        {
            var parsed = Root.Parse(args);
            var settings = new InvocationConfiguration { Output = output, Error = error, EnableDefaultExceptionHandler = false };
            var code = await parsed.InvokeAsync(settings, cancellation);
            return parsed.Action is ParseErrorAction ? ExitCode.Usage : code;
        });
}
