using System.CommandLine;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using System.Runtime.CompilerServices;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Commands;
using NextPatch.Cli.Configuration;
using NextPatch.Cli.Help;
using NextPatch.Cli.Rendering;
using NextPatch.Core;
using NextPatch.Torch.Loading;

namespace NextPatch.Cli;

/// <summary>The command line as a function: arguments in, exit code out. Nothing escapes it.</summary>
internal static class Application
{
    /// <param name="args">Arguments without the program's name; none shows the help.</param>
    /// <param name="output">Data: tables, JSON, help.</param>
    /// <param name="error">Progress, logs and errors.</param>
    /// <param name="cancellation">Asks the command to stop; it then ends with <see cref="ExitCode.Cancelled"/>.</param>
    /// <returns>One of <see cref="ExitCode"/>.</returns>
    public static async Task<int> RunAsync(IReadOnlyList<string> args, TextWriter output, TextWriter error, CancellationToken cancellation)
    {
        // A command may touch TorchSharp before anything of NextPatch.Torch, whose initialiser tells the loader where libtorch lies.
        RuntimeHelpers.RunModuleConstructor(typeof(NativeBackend).Module.ModuleHandle);
        var terminal = new Terminal(output, error);
        return await ErrorBoundary.RunAsync(terminal, async () =>
        {
            if (args.Contains(""))
            {
                throw new ConfigException(
                    $"Argument {args.Index().First(a => a.Item.Length == 0).Index + 1} is empty, where a name, a path or a number was to be; is a "
                    + $"variable unset?");
            }

            var (parsed, config) = ConfigFile.Parse(CreateRoot(), args.Count == 0 ? ["--help"] : args);
            RequireFlags(args, parsed.CommandResult.Command);
            if (parsed.Action is ParseErrorAction)
            {
                return ExplainMistake(terminal, parsed, config);
            }

            if (parsed.Action is not HelpAction && !HasFolder())
            {
                throw new NextPatchException("The folder that this was started in is not there any more; go to another one, and start again.");
            }

            return await parsed.InvokeAsync(
                new InvocationConfiguration
                {
                    Output = output,
                    Error = error,
                    EnableDefaultExceptionHandler = false,
                    ProcessTerminationTimeout = null, // StopSignals listens instead
                },
                cancellation);
        });
    }

    /// <summary>The parser takes the value of '--json=maybe' for an argument of the command, such as a path.</summary>
    private static void RequireFlags(IEnumerable<string> args, Command command)
    {
        foreach (var (name, value) in args.TakeWhile(a => a != "--").Select(a => a.Split('=', 2)).Where(p => p.Length == 2).Select(p => (p[0], p[1])))
        {
            if (command.Options.Any(o => o.Name == name && o.ValueType == typeof(bool)) && !bool.TryParse(value, out _))
            {
                throw new ConfigException($"{name} is a flag: say it alone, or with true or false, but not with '{value}'.");
            }
        }
    }

    /// <summary>Whether there is a current folder: another program may have deleted it, and libraries end the process over that.</summary>
    private static bool HasFolder()
    {
        try
        {
            return Directory.Exists(Directory.GetCurrentDirectory());
        }
        catch (IOException)
        {
            return false;
        }
    }

    private static int ExplainMistake(Terminal terminal, ParseResult parsed, ConfigFile? config)
    {
        var words = HelpPage.WordsOf(parsed.CommandResult.Command);
        var unknown = parsed.UnmatchedTokens.Any(IsOption) ? parsed.UnmatchedTokens.Where(IsOption) : parsed.UnmatchedTokens;
        var (unmatched, others) = (parsed.UnmatchedTokens.Count > 0, parsed.Errors.Where(e => e.SymbolResult is OptionResult or ArgumentResult));
        var sentences = unknown.Select(w => DescribeUnknown(w, parsed.CommandResult.Command, words))
            .Concat((unmatched ? others : parsed.Errors).Select(e => Describe(e, config)));
        terminal.WriteError(string.Join(Environment.NewLine, sentences));
        terminal.Log.WriteLine($"'nextpatch {words}{(words.Length > 0 ? " " : "")}--help' lists what there is.");
        return ExitCode.Usage;
    }

    private static bool IsOption(string word) => word.StartsWith("--", StringComparison.Ordinal) && word.Length > 2;

    /// <summary>A word that the parser has no use for, and the one that it was probably to be.</summary>
    private static string DescribeUnknown(string word, Command command, string words)
    {
        var (name, owner) = (word.Split('=')[0], words.Length > 0 ? $" of 'nextpatch {words}'" : "");
        var (kind, known) = IsOption(word) ? ("option", command.Options.Select(o => o.Name).Append("--help").Append("--help-all"))
            : command.Subcommands.Count > 0 ? ("command", command.Subcommands.Select(c => c.Name))
            : ("argument", []);
        var hint = Suggestion.For(name, known) is { } nearest ? $" Did you mean {nearest}?" : "";
        return kind == "argument" ? $"'{word}' is one word too many: 'nextpatch {words}' takes options, and no more arguments than its help names."
            : $"'{name}' is no {kind}{owner}.{hint}{(kind == "command" ? $" Commands: {string.Join(", ", known)}." : "")}";
    }

    /// <summary>The tree of commands.</summary>
    internal static RootCommand CreateRoot()
    {
        var root = new RootCommand("NextPatch trains image generators with Next Patch Prediction (arXiv 2412.15321) and runs them.");
        HelpAction.AddTo(root);
        root.Add(DoctorCommand.Create());
        root.Add(QuickstartCommand.Create());
        root.Add(PlanCommand.Create());
        root.Add(EncodeCommand.Create());
        root.Add(EncodeTextCommand.Create());
        root.Add(TrainCommand.Create());
        root.Add(ReportCommand.Create());
        root.Add(CompareCommand.Create());
        root.Add(StudyCommand.Create());
        root.Add(SampleCommand.Create());
        root.Add(ServeCommand.Create());
        root.Add(EvaluateCommand.Create());
        root.Add(SweepCommand.Create());
        root.Add(WiseCommand.Create());
        root.Add(FetchCommand.Create());
        root.Add(InfoCommand.Create());
        root.Add(ConvertCommand.Create());
        root.Add(QuantizeCommand.Create());
        root.Add(DatasetCommand.Create());
        root.Add(TokenizerCommand.Create());
        root.Add(BenchCommand.Create());
        StrictNumbers.Apply(root);
        return root;
    }

    /// <summary>The parser's own sentence, and what it is about where the sentence forgets that: an option, or the key of a file.</summary>
    private static string Describe(ParseError mistake, ConfigFile? config) => mistake.SymbolResult is not OptionResult { Option: var option }
        ? mistake.Message
        : config?.Gives(option) == true
            ? $"'{option.Name[2..]}' in '{config.Path}': {mistake.Message}"
            : mistake.Message.Contains(option.Name, StringComparison.Ordinal) ? mistake.Message : $"{option.Name}: {mistake.Message}";
}
