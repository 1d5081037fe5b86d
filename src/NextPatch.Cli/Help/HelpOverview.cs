using System.CommandLine;

namespace NextPatch.Cli.Help;

/// <summary><c>nextpatch --help</c>: one screen, a line per command, at most 79 columns.</summary>
internal static class HelpOverview
{
    private const string LastGroup = "More";
    private const int SummaryWidth = 58;

    public static IEnumerable<string> Lines(RootCommand root)
    {
        var commands = root.Subcommands.Where(c => !c.Hidden).ToList();
        var order = HelpTopics.Commands.Keys.ToList();
        yield return "NextPatch trains image generators with Next Patch Prediction, and runs them.";
        foreach (var group in HelpTopics.Groups.Append(LastGroup))
        {
            var heading = group;
            foreach (var command in commands.Where(c => GroupOf(c) == group).OrderBy(c => order.IndexOf(c.Name)))
            {
                yield return $"{heading,-8} {command.Name,-11} {Summary(command)}";
                heading = "";
            }
        }

        yield return "'nextpatch COMMAND --help' shows what matters, '--help-all' every option.";
        yield return "Exit: 0 done, 1 failed, 2 usage, 130 stopped. Begin with: nextpatch quickstart";
    }

    private static string GroupOf(Command command) => HelpTopics.Commands.TryGetValue(command.Name, out var topic) ? topic.Group : LastGroup;

    /// <summary>A command that is not listed says the first words of its description.</summary>
    private static string Summary(Command command)
    {
        if (HelpTopics.Commands.TryGetValue(command.Name, out var topic))
        {
            return topic.Summary;
        }

        var text = (command.Description ?? "").Split(['\n', '.', ':', ';'], 2)[0].Trim();
        return text.Length <= SummaryWidth ? text : text[..text.LastIndexOf(' ', SummaryWidth - 4)] + " ...";
    }
}
