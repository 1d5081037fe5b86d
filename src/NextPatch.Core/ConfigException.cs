namespace NextPatch.Core;

/// <summary>Settings that cannot work. Holds every problem found, not only the first; the command line exits with 2.</summary>
public sealed class ConfigException : NextPatchException
{
    public ConfigException(params IReadOnlyList<string> problems)
        : base(problems.Count == 1 ? problems[0] : string.Join(Environment.NewLine, problems.Select(p => "- " + p)))
        => Problems = problems;

    public ConfigException()
        : this("invalid configuration")
    {
    }

    public ConfigException(string message)
        : this([message])
    {
    }

    public ConfigException(string message, Exception innerException)
        : base(message, innerException)
        => Problems = [message];

    /// <summary>One sentence per problem.</summary>
    public IReadOnlyList<string> Problems { get; }
}
