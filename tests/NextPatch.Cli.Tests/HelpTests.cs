using System.CommandLine;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Help;

namespace NextPatch.Cli.Tests;

public sealed class HelpTests
{
    public static TheoryData<string> Words => [.. All(Application.CreateRoot(), "").Select(c => c.Words)];

    [Fact]
    public async Task The_overview_is_one_screen_with_a_line_per_command()
    {
        var lines = await LinesOf("--help");

        Assert.InRange(lines.Count, 10, 24);
        Assert.All(lines, l => Assert.InRange(l.Length, 1, 80));
        Assert.All(Application.CreateRoot().Subcommands,
            c => Assert.Single(lines, l => l.Length > 9 && l[9..].StartsWith(c.Name + " ", StringComparison.Ordinal)));
        Assert.All(HelpTopics.Groups, g => Assert.Single(lines, l => l.StartsWith(g + " ", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_command_that_is_not_listed_comes_last_with_its_first_words()
    {
        var root = Application.CreateRoot();
        root.Add(new Command(
            "novel", "Does what no other command ever did before it, which takes far more words than a line of the overview has. And more."));

        var line = Assert.Single(HelpOverview.Lines(root), l => l.Contains("novel", StringComparison.Ordinal));

        Assert.StartsWith("More     novel       Does what no other command", line, StringComparison.Ordinal);
        Assert.EndsWith(" ...", line, StringComparison.Ordinal);
        Assert.InRange(line.Length, 40, 80);
        Assert.Contains(
            "  --deep", string.Join('\n', HelpPage.Lines(new Command("novel", "Text.") { new Option<bool>("--deep") }, false, 80)),
            StringComparison.Ordinal);
        await Task.CompletedTask;
    }

    [Theory]
    [MemberData(nameof(Words))]
    public async Task Help_shows_about_ten_options_and_help_all_every_one_within_80_columns(string words)
    {
        var command = All(Application.CreateRoot(), "").Single(c => c.Words == words).Command;
        var (some, all) = (await LinesOf([.. words.Split(' '), "--help"]), await LinesOf([.. words.Split(' '), "--help-all"]));
        var (named, whole) = (Named(some), Named(all));

        Assert.Equal(command.Options.Where(o => !o.Hidden).Select(o => o.Name).Order(), whole.Order());
        Assert.InRange(named.Count, Math.Min(command.Options.Count, 4), 12);
        Assert.Empty(named.Except(whole));
        Assert.Equal(
            whole.Count > named.Count, some.Exists(l => l.EndsWith($"more options: nextpatch {words} --help-all", StringComparison.Ordinal)));
        Assert.All(all.Where(l => l.Trim().Contains(' ', StringComparison.Ordinal)), l => Assert.InRange(l.Length, 0, 80)); // paths stay whole
        Assert.All(command.Options.Where(o => o.Required), o => Assert.Contains(o.Name, named));
    }

    [Theory]
    [MemberData(nameof(Words))]
    public void Each_command_has_a_group_and_a_line(string words)
    {
        var topic = HelpTopics.Commands[words];
        Assert.Contains(topic.Group, HelpTopics.Groups);
        Assert.Equal(words.Contains(' ', StringComparison.Ordinal), topic.Summary.Length == 0);
        Assert.InRange(topic.Summary.Length, 0, 58);
        Assert.Empty(topic.Options.Except(All(Application.CreateRoot(), "").Single(c => c.Words == words).Command.Options.Select(o => o.Name)));
    }

    [Fact]
    public void Each_name_in_the_list_exists()
    {
        var commands = All(Application.CreateRoot(), "").ToList();
        Assert.Empty(HelpTopics.Commands.Keys.Except(commands.Select(c => c.Words)));
        var names = commands.SelectMany(c => c.Command.Options).Select(o => o.Name).ToHashSet();
        var grouped = HelpTopics.Options.Values.SelectMany(g => g).ToList();
        Assert.Empty(grouped.Except(names));
        Assert.Equal(grouped.Distinct().Count(), grouped.Count);
    }

    [Theory]
    [InlineData("Did you mean --batch-size?", "train", "--codes", "x", "--bach-size", "4")]
    [InlineData("Did you mean --batch-size?", "train", "--codes", "x", "--batch", "4")]
    [InlineData("Did you mean --cfg-scale?", "sample", "--cfg-scal=2")]
    [InlineData("Did you mean train?", "trian")]
    [InlineData("Did you mean sample?", "samples")]
    [InlineData("Did you mean reconstruct?", "tokenizer", "recon")]
    public async Task A_mistyped_word_gets_a_suggestion(string hint, params string[] arguments)
    {
        var run = await CommandLine.RunAsync(arguments);

        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains(hint, run.Error, StringComparison.Ordinal);
        Assert.Empty(run.Output);
    }

    [Theory]
    [InlineData("xyzzy")]
    [InlineData("train", "--no-such-thing-at-all")]
    [InlineData("info", "one", "two")]
    public async Task A_word_that_is_near_none_gets_no_suggestion(params string[] arguments)
    {
        var run = await CommandLine.RunAsync(arguments);

        Assert.Equal(ExitCode.Usage, run.ExitCode);
        Assert.Contains(arguments[^1], run.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("Did you mean", run.Error, StringComparison.Ordinal);
    }

    private static async Task<List<string>> LinesOf(params string[] arguments)
    {
        var run = await CommandLine.RunAsync(arguments);
        Assert.Equal(ExitCode.Success, run.ExitCode);
        Assert.Empty(run.Error);
        return [.. run.Output.ReplaceLineEndings("\n").TrimEnd('\n').Split('\n')];
    }

    /// <summary>Options that have a row of their own.</summary>
    private static List<string> Named(List<string> lines)
        => lines.FindAll(l => l.StartsWith("  --", StringComparison.Ordinal)).ConvertAll(l => l.Trim().Split(' ')[0]);

    private static IEnumerable<(string Words, Command Command)> All(Command command, string above)
        => command.Subcommands.SelectMany(c => (IEnumerable<(string, Command)>)
            [(above + c.Name, c), .. All(c, above + c.Name + " ")]);
}
