using System.CommandLine;

namespace NextPatch.Cli.Commands;

internal static class PlanCommand
{
    public static Command Create() => new("plan", "Not there yet.");
}
