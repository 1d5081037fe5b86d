using System.CommandLine;
using System.CommandLine.Invocation;
using NextPatch.Cli.Rendering;

namespace NextPatch.Cli.Help;

/// <summary>What <c>--help</c> and <c>--help-all</c> do.</summary>
internal sealed class HelpAction(bool isWhole) : SynchronousCommandLineAction
{
    public override bool ClearsParseErrors => true;

    /// <summary>Gives a root command both options, in place of the parser's own.</summary>
    public static void AddTo(RootCommand root)
    {
        root.Options.OfType<System.CommandLine.Help.HelpOption>().Single().Action = new HelpAction(isWhole: false);
        root.Add(new Option<bool>("--help-all")
        {
            Description = "Help with every option.", Recursive = true, Arity = ArgumentArity.Zero, Action = new HelpAction(isWhole: true),
        });
    }

    public override int Invoke(ParseResult parseResult)
    {
        var (terminal, command) = (Terminal.From(parseResult), parseResult.CommandResult.Command);
        var lines = command is RootCommand root && !isWhole ? HelpOverview.Lines(root) : HelpPage.Lines(command, isWhole, terminal.TextWidth);
        foreach (var line in lines)
        {
            terminal.Data.WriteLine(line);
        }

        return 0;
    }
}
