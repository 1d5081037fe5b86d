using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using NextPatch.Core;

namespace NextPatch.Cli.Studies;

/// <summary>
/// A piece of a study in a process of its own, so that pieces side by side share no memory and each one's processor time is its own. It ends with its
/// last step when this process does: it reads a pipe that then closes.
/// </summary>
internal static class StudyProcess
{
    /// <summary>Option that names the piece, for the process that does it.</summary>
    public const string PieceOption = "--piece";

    /// <summary>The command that runs programs on the runtime that runs this one, be it in the path or not.</summary>
    private static string Dotnet
    {
        get
        {
            // dotnet/shared/Microsoft.NETCore.App/VERSION/
            var beside = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", "dotnet"));
            return File.Exists(beside) || File.Exists(beside + ".exe") ? beside : "dotnet";
        }
    }

    /// <summary>Starts it and waits.</summary>
    /// <param name="arguments">Of <c>study</c>, without the piece.</param>
    /// <param name="piece">Its name.</param>
    /// <param name="threads">Threads that it computes with.</param>
    /// <param name="onProgress">Receives FLOPs done, and a line.</param>
    /// <param name="onNote">Receives what it says beside that.</param>
    /// <param name="cancellation">Asks it to stop after its current step.</param>
    /// <returns>Whether it is done; false where it was stopped.</returns>
    /// <exception cref="NextPatchException">It failed.</exception>
    public static async Task<bool> RunAsync(
        IEnumerable<string> arguments, string piece, int threads, Action<double, string> onProgress, Action<string> onNote,
        CancellationToken cancellation)
    {
        var count = threads.ToString(CultureInfo.InvariantCulture);
        var start = new ProcessStartInfo
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
            Environment = { ["OMP_NUM_THREADS"] = count, ["DOTNET_PROCESSOR_COUNT"] = count },
        };
        var program = Path.Combine(AppContext.BaseDirectory, OperatingSystem.IsWindows() ? "nextpatch.exe" : "nextpatch");
        string[] words = File.Exists(program) ? [program] : [Dotnet, Path.Combine(AppContext.BaseDirectory, "NextPatch.Cli.dll")];
        start.FileName = words[0];
        foreach (var word in (string[])[.. words[1..], "study", .. arguments, PieceOption, piece])
        {
            start.ArgumentList.Add(word);
        }

        using var process = Process.Start(start)!;
        using var stop = cancellation.Register(process.StandardInput.Close);
        var last = "";
        var errors = Task.Run(async () =>
        {
            while (await process.StandardError.ReadLineAsync(CancellationToken.None) is { } line)
            {
                last = line;
                onNote($"{piece}: {line}");
            }
        }, CancellationToken.None);
        while (await process.StandardOutput.ReadLineAsync(CancellationToken.None) is { } line)
        {
            if (line.Split(' ', 2) is [var flops, var text] && double.TryParse(flops, CultureInfo.InvariantCulture, out var done))
            {
                onProgress(done, text);
            }
        }

        await errors;
        await process.WaitForExitAsync(CancellationToken.None);
        return process.ExitCode switch
        {
            CommandLine.ExitCode.Success => true,
            CommandLine.ExitCode.Cancelled => false,
            _ => throw new NextPatchException($"{piece} failed: {last}"),
        };
    }

    /// <summary>What the process writes for <c>onProgress</c>.</summary>
    public static string Line(double flops, string line) => string.Create(CultureInfo.InvariantCulture, $"{flops:R} {line}");

    /// <summary>Cancels where the process that started this one is gone, or asks it to stop.</summary>
    public static void FollowParent(CancellationTokenSource stop) => new Thread(() =>
    {
        while (Console.In.Read() >= 0)
        {
        }

        try
        {
            stop.Cancel();
        }
        catch (ObjectDisposedException)
        {
        }
    })
    { IsBackground = true }.Start();
}
