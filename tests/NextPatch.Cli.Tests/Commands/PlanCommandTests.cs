using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Planning;
using NextPatch.Core.Configuration;

namespace NextPatch.Cli.Tests.Commands;

[NoTensorLeaks]
public sealed class PlanCommandTests
{
    private static readonly string[] Published = ["plan", "--json", "--flops-per-second", "1e12"];

    /// <summary>Fails where the system has a libtorch of another version and TorchSharp takes that.</summary>
    [Fact]
    public async Task A_fresh_process_measures_the_machine()
    {
        var (exit, error) = await CommandProcess.RunWithErrors(["plan", "--preset", "tiny"]);

        Assert.Equal((ExitCode.Success, ""), (exit, error));
    }

    [Fact]
    public async Task Level_2_at_rate_one_half_costs_five_eighths_as_the_paper_says()
    {
        var plan = (await CommandLine.RunAsync([.. Published, "--preset", "B", "--patch-level", "2", "--stage-rate", "0.5"])).Json;

        Assert.Equal(0.625, plan.GetProperty("relativeCost").GetDouble(), 12);
        Assert.Equal(110_888_448, plan.GetProperty("parameterCount").GetInt64());
        Assert.InRange(plan.GetProperty("relativeFlops").GetDouble(), 0.60, 0.625);
        Assert.Equal([2, 1], plan.GetProperty("stages").EnumerateArray().Select(s => s.GetProperty("patchSide").GetInt32()));
        Assert.Equal([150.0, 150.0], plan.GetProperty("stages").EnumerateArray().Select(s => Math.Round(s.GetProperty("epochs").GetDouble(), 1)));
    }

    [Fact]
    public void A_plan_beyond_the_machine_says_so()
    {
        const long GiB = 1L << 30;
        var model = GptPresets.Get("B");
        var plan = RunPlan.Create("B", "paper", model, TrainingRecipes.Get("paper", model).Training, 1_281_167, 1e12, "as given");
        Assert.Empty(Commands(plan, 1000 * GiB, seconds: 1));
        Assert.Contains("--recompute makes it fit", Assert.Single(Commands(plan, (long)plan.Memory.Total - 1, 1)), StringComparison.Ordinal);
        Assert.Contains("does not make it fit", Assert.Single(Commands(plan, GiB, 1)), StringComparison.Ordinal);
        Assert.Contains("3.5 years", Assert.Single(Commands(plan, 1000 * GiB, 3.5 * 31557600)), StringComparison.Ordinal);

        static List<string> Commands(RunPlan plan, long bytes, double seconds)
            => [.. PlanScreen.Warnings(plan with { FlopsPerSecond = plan.TotalFlops / seconds }, bytes)];
    }

    [Fact]
    public async Task Without_measuring_there_are_FLOPs_and_memory_and_no_time()
    {
        string[] arguments = ["plan", "--preset", "B", "--recipe", "paper", "--no-measure", "--json"];
        var plan = (await CommandLine.RunAsync(arguments)).Json;
        Assert.True(plan.GetProperty("totalFlops").GetDouble() > 1e18);
        Assert.True(plan.GetProperty("memory").GetProperty("total").GetDouble() > 1e9);
        Assert.False(plan.TryGetProperty("seconds", out _));
        var shown = await CommandLine.RunAsync(arguments[..^1]);
        Assert.Equal(0, shown.ExitCode);
        Assert.DoesNotContain("Time:", shown.Output, StringComparison.Ordinal);
        Assert.Equal(2, (await CommandLine.RunAsync([.. arguments, "--ranks", "2"])).ExitCode);
        Assert.Equal(1e18, (await CommandLine.RunAsync([.. arguments, "--flops-per-second", "1e18"])).Json.GetProperty("flopsPerSecond").GetDouble());
    }

    /// <summary>
    /// Four ranks send 3/4 of 111 M gradients and as many weights, 4 bytes each: 0.27 s each at 10 Gbit/s. Coarse steps compute for a shorter time,
    /// so they wait for a larger share; gradients in bf16 travel in half the time.
    /// </summary>
    [Fact]
    public async Task Ranks_wait_for_the_network_most_in_coarse_stages()
    {
        string[] arguments = [.. Published, "--preset", "B", "--patch-level", "2", "--steps", "100", "--batch-size", "64"];
        var alone = (await CommandLine.RunAsync(arguments)).Json;
        var plan = (await CommandLine.RunAsync([.. arguments, "--ranks", "4", "--network", "10G"])).Json;
        var ranks = plan.GetProperty("onRanks");
        var stages = ranks.GetProperty("stages").EnumerateArray().ToList();
        Assert.False(alone.TryGetProperty("onRanks", out _));
        Assert.Equal(110_888_448 * 0.75 * 8, ranks.GetProperty("bytesPerStep").GetDouble(), 1.0);
        var (coarse, fine) = (stages[0], stages[1]);
        Assert.Equal(
            alone.GetProperty("seconds").GetDouble() / 4,
            stages.Sum(s => s.GetProperty("steps").GetInt64() * s.GetProperty("computeSeconds").GetDouble()), 1e-6);
        // The fine stage's backward pass is longer than the gradients travel, but for the last bucket of 6.25 M elements.
        var travel = 110_888_448 * 0.75 * 32 / 1e10;
        Assert.Equal(travel * (1 + (6.25e6 / 110_888_448)), fine.GetProperty("waitSeconds").GetDouble(), 1e-6);
        Assert.True(coarse.GetProperty("waitShare").GetDouble() > fine.GetProperty("waitShare").GetDouble());

        var half = (await CommandLine.RunAsync([.. arguments, "--ranks", "4", "--network", "1e10", "--gradient-dtype", "bf16"])).Json;
        Assert.Equal(110_888_448 * 0.75 * 6, half.GetProperty("onRanks").GetProperty("bytesPerStep").GetDouble(), 1.0);
        var memory = ranks.GetProperty("memoryPerRank").GetDouble();
        Assert.InRange(memory, 1, alone.GetProperty("memory").GetProperty("total").GetDouble());

        var wrong = await CommandLine.RunAsync([.. arguments, "--ranks", "4", "--network", "fast"]);
        Assert.Equal(ExitCode.Usage, wrong.ExitCode);
        Assert.Contains("--network 'fast' is no speed", wrong.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_stages_add_up_to_the_run()
    {
        var plan = (await CommandLine.RunAsync(
            [.. Published, "--patch-sides", "4,2,1", "--stage-rate", "0.3", "--steps", "1000", "--batch-size", "8"])).Json;
        var stages = plan.GetProperty("stages").EnumerateArray().ToList();

        Assert.Equal([90, 210, 700], stages.Select(s => s.GetProperty("steps").GetInt64()));
        Assert.Equal(
            plan.GetProperty("totalFlops").GetDouble(),
            stages.Sum(s => s.GetProperty("images").GetInt64() * s.GetProperty("flopsPerImage").GetDouble()), 1.0);
        Assert.Equal(plan.GetProperty("relativeCost").GetDouble(), stages.Sum(s => s.GetProperty("relativeShare").GetDouble()), 12);
        Assert.Equal(plan.GetProperty("seconds").GetDouble(), plan.GetProperty("totalFlops").GetDouble() / 1e12, 9);
    }

    [Theory]
    [InlineData("4:10%,2:30%,1:60%", new[] { "--steps", "1000" })]
    [InlineData("4:100,2:300,1:600", new string[0])]
    public async Task Listed_stages_are_planned_as_listed(string list, string[] length)
    {
        var plan = (await CommandLine.RunAsync([.. Published, "--stages", list, .. length])).Json;
        var stages = plan.GetProperty("stages").EnumerateArray().ToList();

        Assert.Equal([4, 2, 1], stages.Select(s => s.GetProperty("patchSide").GetInt32()));
        Assert.Equal([100, 300, 600], stages.Select(s => s.GetProperty("steps").GetInt64()));
        Assert.Equal((0.1 / 16) + (0.3 / 4) + 0.6, plan.GetProperty("relativeCost").GetDouble(), 12);
    }

    [Fact]
    public async Task Memory_is_twenty_bytes_per_parameter_and_activations_that_follow_the_micro_batch()
    {
        var whole = (await CommandLine.RunAsync(Published)).Json;
        var parts = (await CommandLine.RunAsync([.. Published, "--micro-batch", "4"])).Json;
        double Of(System.Text.Json.JsonElement plan, string part) => plan.GetProperty("memory").GetProperty(part).GetDouble();

        Assert.Equal(20.0 * 110_888_448, Of(whole, "weights") + Of(whole, "gradients") + Of(whole, "moments") + Of(whole, "average"));
        Assert.InRange(Of(whole, "activations") / Of(parts, "activations"), 50, 64);
        Assert.InRange(Of(parts, "recomputedActivations") / Of(parts, "activations"), 0.2, 0.4);
    }

    [Fact]
    public async Task Without_a_given_speed_this_machine_is_measured()
    {
        var plan = (await CommandLine.RunAsync(
            "plan", "--json", "--preset", "small", "--recipe", "cpu", "--grid", "8", "--vocabulary", "128", "--classes", "10")).Json;

        Assert.InRange(plan.GetProperty("flopsPerSecond").GetDouble(), 1e8, 1e15);
        Assert.Contains("measured", plan.GetProperty("flopsPerSecondSource").GetString(), StringComparison.Ordinal);
        Assert.False(plan.TryGetProperty("datasetImages", out _));
    }

    [Fact]
    public async Task The_table_names_totals_time_and_memory()
    {
        var run = await CommandLine.RunAsync("plan", "--flops-per-second", "1e14");

        Assert.Equal(ExitCode.Success, run.ExitCode);
        Assert.All(["patch side", "0.625", "Total:", "Time:", "Memory:"], text => Assert.Contains(text, run.Output, StringComparison.Ordinal));
    }

    [Fact]
    public async Task An_unknown_preset_is_a_usage_error_that_lists_the_presets()
    {
        var run = await CommandLine.RunAsync("plan", "--preset", "Z");

        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains("'Z'", run.Error, StringComparison.Ordinal);
        Assert.All(["tiny", "XXXL", "7B"], name => Assert.Contains(name, run.Error, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("Patch sides that fit: 1, 2, 4, 8, 16", "--patch-sides", "3,1")]
    [InlineData("gridSide 65536 must be 1 to 1024", "--grid", "65536")]
    [InlineData("--patch-sides '2;1'", "--patch-sides", "2;1")]
    [InlineData("keep one", "--patch-sides", "2,1", "--patch-level", "2")]
    [InlineData("keep one", "--epochs", "3", "--steps", "30")]
    [InlineData("stageRate", "--stage-rate", "1.5")]
    [InlineData("Recipes: paper, repository, cpu", "--recipe", "own")]
    [InlineData("--images", "--images", "0")]
    [InlineData("--images", "--recipe", "cpu", "--epochs", "3")]
    [InlineData("--flops-per-second", "--flops-per-second", "-1")]
    public async Task Settings_that_cannot_work_are_a_usage_error_that_says_why(string reason, params string[] args)
    {
        var run = await CommandLine.RunAsync(["plan", .. args]);

        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains(reason, run.Error, StringComparison.Ordinal);
        Assert.Empty(run.Output);
    }
}
