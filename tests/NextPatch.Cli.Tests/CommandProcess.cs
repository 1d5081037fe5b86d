using System.Diagnostics;

namespace NextPatch.Cli.Tests;

/// <summary>Calls of <c>nextpatch</c> as processes, because signals and kills are about processes.</summary>
internal static class CommandProcess
{
    public static ProcessStartInfo Command(IEnumerable<string> arguments)
        => new("dotnet", [Path.Combine(AppContext.BaseDirectory, "NextPatch.Cli.dll"), .. arguments])
        {
            RedirectStandardError = true, RedirectStandardOutput = true,
        };

    public static Process Start(IEnumerable<string> arguments)
    {
        var process = Process.Start(Command(arguments))!;
        process.BeginOutputReadLine();
        return process;
    }

    public static async Task<int> Run(IEnumerable<string> arguments) => (await RunWithErrors(arguments)).Exit;

    public static async Task<(int Exit, string Error)> RunWithErrors(IEnumerable<string> arguments)
    {
        using var process = Start(arguments);
        var error = await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return (process.ExitCode, error);
    }

    /// <summary>Waits while the process runs; that it ends before is a failure.</summary>
    public static async Task WaitFor(Func<bool> condition, Process process)
    {
        while (!condition())
        {
            Assert.False(process.HasExited, "the run ended before it could be interrupted");
            await Task.Delay(5);
        }
    }

    /// <summary>Kills it as soon as a moment has come; what it was doing stays half-done.</summary>
    public static async Task KillWhen(Func<bool> isTime, IEnumerable<string> arguments)
    {
        using var process = Start(arguments);
        process.BeginErrorReadLine();
        await WaitFor(isTime, process);
        process.Kill(entireProcessTree: true); // SIGKILL
        await process.WaitForExitAsync();
    }

    /// <summary>Name of a run's newest checkpoint.</summary>
    public static string LatestOf(string run) => File.ReadAllText(Path.Combine(run, "latest")).Trim();

    public static bool IsWritingCheckpoint(string run) => Directory.GetDirectories(run, ".writing-step-*").Length > 0;
}
