using System.Diagnostics;

namespace NextPatch.Cli.Tests;

/// <summary>How the program stands what callers do to processes: closed streams, a folder that is gone, signals.</summary>
public sealed class ProcessTests
{
    [Theory]
    [InlineData("2>&-", 0)]
    [InlineData(">&- 2>&-", 1)]
    [InlineData(">&-", 1)]
    [InlineData("<&- 2>&-", 0)]
    public async Task Closed_streams_lose_what_went_there_and_nothing_else(string redirection, int exit)
    {
        using var folder = new TemporaryFolder();
        SmallModel.Write(folder);
        var process = await Shell(folder.Path, $"{Program} sample --model model --count 1 --output samples {redirection}");
        Assert.Equal(exit, process.ExitCode);
        Assert.True(File.Exists(folder["samples/000000.png"]));
        Assert.DoesNotContain("Sampling"u8.ToArray(), File.ReadAllBytes(folder["samples/samples.json"]));
    }

    [Fact]
    public async Task A_folder_that_is_gone_is_said()
    {
        using var folder = new TemporaryFolder();
        var process = await Shell(folder.Path, $"mkdir gone && cd gone && rmdir ../gone && {Program} plan --preset tiny --flops-per-second 1e9");
        Assert.Equal(1, process.ExitCode);
        Assert.Contains("not there any more", process.Error, StringComparison.Ordinal);
    }

    /// <summary>Another libtorch than the one that somebody names would train on another device, and say nothing.</summary>
    [Theory]
    [InlineData("nowhere", "which does not exist")]
    [InlineData(".", "which holds no libtorch_cpu.so")]
    [InlineData("debian", "holds libtorch 1.13.0, but this program needs")]
    public async Task A_named_libtorch_that_is_not_ours_is_refused(string named, string said)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "libraries are named otherwise elsewhere");
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder["debian"]);
        File.WriteAllText(folder["debian/libtorch_cpu.so.1.13.0"], "");
        File.CreateSymbolicLink(folder["debian/libtorch_cpu.so.1.13"], "libtorch_cpu.so.1.13.0");
        File.CreateSymbolicLink(folder["debian/libtorch_cpu.so"], "libtorch_cpu.so.1.13");
        var process = await Shell(folder.Path, $"NEXTPATCH_LIBTORCH={named} {Program} doctor --json 1>&2");
        Assert.Equal(1, process.ExitCode);
        Assert.Contains(said, process.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_first_signal_ends_a_command()
    {
        using var folder = new TemporaryFolder();
        SmallModel.Write(folder);
        var process = await Shell(
            folder.Path,
            $"{Program} sample --model model --count 100000 --output samples & p=$!; for i in $(seq 200); do [ -e samples/000000.png ] && break; "
            + "sleep 0.1; done; kill -TERM $p; for i in $(seq 200); do kill -0 $p 2>/dev/null || break; sleep 0.1; done; kill -KILL $p "
                + "2>/dev/null; wait $p");
        Assert.Equal(130, process.ExitCode);
    }

    private static string Program => $"dotnet '{Path.Combine(AppContext.BaseDirectory, "NextPatch.Cli.dll")}'";

    private static async Task<(int ExitCode, string Error)> Shell(string folder, string command)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() || OperatingSystem.IsMacOS(), "a shell of Unix");
        using var process = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", command])
        {
            WorkingDirectory = folder, RedirectStandardError = true, RedirectStandardOutput = true,
        })!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = await process.StandardError.ReadToEndAsync();
        await output;
        await process.WaitForExitAsync();
        return (process.ExitCode, error);
    }
}
