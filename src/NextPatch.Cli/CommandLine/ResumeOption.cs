using System.CommandLine;

namespace NextPatch.Cli.CommandLine;

/// <summary><c>--resume</c>: a flag that may name a run, or say true or false as files of options do.</summary>
internal sealed class ResumeOption : Option<string?>
{
    public ResumeOption(string description)
        : base("--resume") => (Description, HelpName, Arity) = (description, "run", ArgumentArity.ZeroOrOne);

    /// <summary>
    /// The file in a run's folder that holds the options of the command that began it, where naming the run is to be enough; null: the command reads
    /// its settings itself.
    /// </summary>
    public string? OptionsFile { get; init; }

    /// <summary>Whether a run is to be continued.</summary>
    public bool IsGiven(ParseResult parsed) => parsed.GetResult(this) is { Implicit: false } && !Is(parsed.GetValue(this), "false");

    /// <summary>The run that it names; null where it is a flag.</summary>
    public string? RunOf(ParseResult parsed)
        => IsGiven(parsed) && parsed.GetValue(this) is { } value && !Is(value, "true") ? value : null;

    private static bool Is(string? value, string word) => string.Equals(value, word, StringComparison.OrdinalIgnoreCase);
}
