using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using System.Runtime.CompilerServices;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Commands;
using NextPatch.Cli.Configuration;
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
        var command = parsed.CommandResult.Command;
        if (command is RootCommand && parsed.UnmatchedTokens is [var word, ..])
        {
            terminal.WriteError($"'{word}' is no command. Commands: {string.Join(", ", command.Subcommands.Select(c => c.Name))}.");
        }
        else
        {
            terminal.WriteError(string.Join(Environment.NewLine, parsed.Errors.Select(e => Describe(e, config))));
        }

        terminal.Log.WriteLine($"'nextpatch {WordsOf(parsed.CommandResult)}--help' lists what there is.");
        return ExitCode.Usage;
    }

    /// <summary>The words that name a command, each with a space: "tokenizer train ".</summary>
    private static string WordsOf(SymbolResult? command)
        => command is CommandResult { Command: not RootCommand and var own } ? $"{WordsOf(command.Parent)}{own.Name} " : "";

    /// <summary>The tree of commands.</summary>
    internal static RootCommand CreateRoot()
    {
        var root = new RootCommand(
            """
            NextPatch trains image generators with Next Patch Prediction (arXiv 2412.15321) and runs them.

            An image becomes a grid of codes, a transformer learns to predict the codes in patches, large ones first and single
            codes last: the same model for a little over half the cost. Nothing changes at generation time.

            The short path, on a fresh machine, without downloads:
              nextpatch doctor        what works here, and what to do where something does not
              nextpatch quickstart    draw a dataset, train on it, sample, and write report.html (minutes)
              nextpatch plan          what a run costs before it starts
              nextpatch encode        images into codes
              nextpatch encode-text   captions into features
              nextpatch train         train on your own codes
              nextpatch report        the page of a run, made again; 'train' writes it at its end
              nextpatch compare       runs beside each other: losses, cost, figures, samples
              nextpatch sample        images from a trained model
              nextpatch evaluate      how near images are to real ones: FID and its kin, by a stated protocol
              nextpatch sweep         the same over a grid of guidance scales and filters, with curves and a picture
              nextpatch fetch         published weights that 'evaluate' can use
              nextpatch info          what a checkpoint, a file of weights, a data folder or an image holds
              nextpatch convert       weights in another format: .pt, .safetensors, .npz, a Hugging Face folder
              nextpatch dataset       whether a dataset is whole, and what is in it
              nextpatch tokenizer     trains tokenizers, which turn images into codes and back, and judges them
              nextpatch bench         what a training step costs here (bench train), beside the machine's limit

            Data goes to stdout, progress and messages to stderr. Exit codes: 0 done, 1 failed, 2 usage, 130 stopped.
            """);
        root.Add(DoctorCommand.Create());
        root.Add(QuickstartCommand.Create());
        root.Add(PlanCommand.Create());
        root.Add(EncodeCommand.Create());
        root.Add(EncodeTextCommand.Create());
        root.Add(TrainCommand.Create());
        root.Add(ReportCommand.Create());
        root.Add(CompareCommand.Create());
        root.Add(SampleCommand.Create());
        root.Add(EvaluateCommand.Create());
        root.Add(SweepCommand.Create());
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
