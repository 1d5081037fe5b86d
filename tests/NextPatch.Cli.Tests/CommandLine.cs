using System.Text.Json;

namespace NextPatch.Cli.Tests;

/// <summary>One call of <c>nextpatch</c> in this process.</summary>
internal sealed record CommandLine(int ExitCode, string Output, string Error)
{
    public JsonElement Json => JsonDocument.Parse(Output).RootElement;

    public static Task<CommandLine> RunAsync(params string[] args) => RunAsync(args, CancellationToken.None);

    public static async Task<CommandLine> RunAsync(string[] args, CancellationToken cancellation)
    {
        using StringWriter output = new(), error = new();
        var exitCode = await Application.RunAsync(args, output, error, cancellation);
        return new CommandLine(exitCode, output.ToString(), error.ToString());
    }
}
