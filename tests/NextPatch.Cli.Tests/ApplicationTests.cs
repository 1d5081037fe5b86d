using NextPatch.Cli.CommandLine;

namespace NextPatch.Cli.Tests;

public sealed class ApplicationTests
{
    [Fact]
    public async Task Help_of_the_program_says_what_it_is_and_names_every_command()
    {
        var run = await CommandLine.RunAsync("--help");

        Assert.Equal(ExitCode.Success, run.ExitCode);
        Assert.Contains("Next Patch Prediction", run.Output, StringComparison.Ordinal);
        Assert.All(Application.CreateRoot().Subcommands, c => Assert.Contains($" {c.Name} ", run.Output, StringComparison.Ordinal));
        Assert.Empty(run.Error);
    }

    [Fact]
    public async Task No_arguments_show_the_help()
    {
        var (bare, help) = (await CommandLine.RunAsync(), await CommandLine.RunAsync("--help"));

        Assert.Equal(help, bare);
    }

    [Theory]
    [InlineData("doctor")]
    [InlineData("plan")]
    [InlineData("sample")]
    [InlineData("info")]
    public async Task Help_of_a_command_has_examples(string command)
    {
        var run = await CommandLine.RunAsync(command, "--help");

        Assert.Equal(ExitCode.Success, run.ExitCode);
        Assert.Contains("Examples:", run.Output, StringComparison.Ordinal);
        Assert.Contains($"  nextpatch {command} ", run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Version_is_one_line()
    {
        var run = await CommandLine.RunAsync("--version");

        Assert.Equal(ExitCode.Success, run.ExitCode);
        Assert.Matches(@"^\d+\.\d+\.\d+\S*$", run.Output.Trim());
    }

    [Theory]
    [InlineData("plan", "--no-such-option")]
    [InlineData("plan", "--grid", "many")]
    [InlineData("encode")] // sample draws from the built-in model
    [InlineData("no-such-command")]
    public async Task A_command_line_that_makes_no_sense_exits_with_2_and_writes_no_data(params string[] args)
    {
        var run = await CommandLine.RunAsync(args);

        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains("--help", run.Error, StringComparison.Ordinal);
        Assert.Empty(run.Output);
    }

    [Theory]
    [InlineData("'nextpatch tokenizer train --help'", "tokenizer", "train")]
    [InlineData("'nextpatch tokenizer --help'", "tokenizer", "trian")]
    [InlineData("'nextpatch train --help'", "train")]
    [InlineData("'nextpatch --help'", "trian")]
    public async Task A_mistake_points_to_the_help_of_its_command(string help, params string[] arguments)
        => Assert.Contains(help, (await CommandLine.RunAsync(arguments)).Error, StringComparison.Ordinal);

    [Fact]
    public async Task An_unknown_command_is_named_beside_those_that_exist()
    {
        var run = await CommandLine.RunAsync("pln");

        Assert.Contains("'pln'", run.Error, StringComparison.Ordinal);
        Assert.Contains("plan", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_cancelled_command_exits_with_130()
    {
        var run = await CommandLine.RunAsync(["plan", "--preset", "tiny"], new CancellationToken(canceled: true));

        Assert.Equal(ExitCode.Cancelled, run.ExitCode);
        Assert.Empty(run.Output);
    }
}
