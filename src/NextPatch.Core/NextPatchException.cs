namespace NextPatch.Core;

/// <summary>
/// An error with a cause a person can act on: the message names the thing, says what was expected and what was found, and what
/// to do next. The command line prints it without a stack trace and exits with 1; anything else that escapes is a defect.
/// </summary>
public class NextPatchException : Exception
{
    /// <summary>A message for people: what was given, what is allowed, what to do.</summary>
    public NextPatchException(string message)
        : base(message)
    {
    }

    /// <summary>A message for people, and its cause.</summary>
    public NextPatchException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>An empty message; prefer the other constructors.</summary>
    public NextPatchException()
    {
    }

    /// <summary>Names of settings in the message, as their properties are called: a command line says its own names for them.</summary>
    public IReadOnlyList<string> Settings { get; init; } = [];

    /// <summary>Whether training ended because its steps were not finite any more: the settings are to blame, not machine or files.</summary>
    internal bool IsDivergence { get; init; }
}

/// <summary>A file that is damaged, truncated, hostile or not what its name says. Names the file, what was expected and what was found.</summary>
public sealed class DataFormatException : NextPatchException
{
    /// <summary>A message that names the file and what is wrong in it.</summary>
    public DataFormatException(string message)
        : base(message)
    {
    }

    /// <summary>A message that names the file, and its cause.</summary>
    public DataFormatException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    /// <summary>An empty message; prefer the other constructors.</summary>
    public DataFormatException()
    {
    }
}
