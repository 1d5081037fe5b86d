using System.CommandLine;

namespace NextPatch.Cli.Commands;

internal static class SampleCommand
{
    public static Command Create() => new("sample", "Not there yet.");
}
