using System.CommandLine;

namespace NextPatch.Cli.Commands;

internal static class InfoCommand
{
    public static Command Create() => new("info", "Not there yet.");
}
