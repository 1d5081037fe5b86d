using System.CommandLine;

namespace NextPatch.Cli.Commands;

internal static class DoctorCommand
{
    public static Command Create() => new("doctor", "Not there yet.");
}
