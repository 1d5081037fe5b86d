namespace NextPatch.Core;

/// <summary>Settings that cannot work. Holds every problem found, not only the first; the command line exits with 2.</summary>
public sealed class ConfigException : NextPatchException
{
    /// <summary>Several problems at once, a sentence each.</summary>
    public ConfigException(params IReadOnlyList<string> problems)
        : base(problems.Count == 1 ? problems[0] : string.Join(Environment.NewLine, problems.Select(p => "- " + p)))
        => Problems = problems;

    /// <summary>An empty message; prefer the other constructors.</summary>
    public ConfigException()
        : this("invalid configuration")
    {
    }

    /// <summary>One problem, as a sentence that says what was given and what is allowed.</summary>
    public ConfigException(string message)
        : this([message])
    {
    }

    /// <summary>One problem and its cause.</summary>
    public ConfigException(string message, Exception innerException)
        : base(message, innerException)
        => Problems = [message];

    /// <summary>One sentence per problem.</summary>
    public IReadOnlyList<string> Problems { get; }
}
