using System.Text.Json;
using NextPatch.Benchmarks;

namespace NextPatch.Cli.Tests;

/// <summary>One call of <c>nextpatch</c> in this process.</summary>
internal sealed record CommandLine(int ExitCode, string Output, string Error)
{
    public JsonElement Json => JsonDocument.Parse(Output).RootElement;

    public static Task<CommandLine> RunAsync(params string[] args) => RunAsync(args, CancellationToken.None);

    public static Task<CommandLine> RunAsync(string[] args, CancellationToken cancellation)
        => RunAsync((output, error) => Application.RunAsync(args, output, error, cancellation));

    /// <summary>One call of bench/NextPatch.Benchmarks.</summary>
    public static Task<CommandLine> RunBenchAsync(params string[] args)
        => RunAsync((output, error) => BenchCommands.RunAsync(args, output, error, CancellationToken.None));

    private static async Task<CommandLine> RunAsync(Func<TextWriter, TextWriter, Task<int>> run)
    {
        using StringWriter output = new(), error = new();
        var exitCode = await run(output, error);
        return new CommandLine(exitCode, output.ToString(), error.ToString());
    }
}
