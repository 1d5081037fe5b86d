using NextPatch.Cli.CommandLine;

namespace NextPatch.Cli.Tests.Commands;

[NoTensorLeaks]
public sealed class DoctorCommandTests
{
    [Fact]
    public async Task Json_names_what_loads_the_engine_and_the_threads()
    {
        var run = await CommandLine.RunAsync("doctor", "--json");
        var report = run.Json;

        Assert.Equal(ExitCode.Success, run.ExitCode);
        Assert.True(report.GetProperty("works").GetBoolean());
        Assert.Equal(["libtorch", "SkiaSharp"], report.GetProperty("components").EnumerateArray().Select(c => c.GetProperty("name").GetString()!));
        Assert.Contains("TorchSharp", report.GetProperty("engine").GetString(), StringComparison.Ordinal);
        Assert.InRange(report.GetProperty("threads").GetInt32(), 1, 4096);
        Assert.True(report.GetProperty("memoryBytes").GetInt64() > 0);
        Assert.Contains(
            report.GetProperty("processor").GetProperty("avx2").ValueKind,
            (System.Text.Json.JsonValueKind[])[System.Text.Json.JsonValueKind.True, System.Text.Json.JsonValueKind.False]);
    }

    [Fact]
    public async Task Text_ends_with_the_next_step()
    {
        var run = await CommandLine.RunAsync("doctor");

        Assert.Equal(ExitCode.Success, run.ExitCode);
        Assert.Contains("Next: nextpatch quickstart", run.Output, StringComparison.Ordinal);
        Assert.Empty(run.Error);
    }
}
