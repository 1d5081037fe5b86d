namespace NextPatch.Core;

/// <summary>
/// An error with a cause a person can act on: the message names the thing, says what was expected and what was found, and what
/// to do next. The command line prints it without a stack trace and exits with 1; anything else that escapes is a defect.
/// </summary>
public class NextPatchException : Exception
{
    public NextPatchException(string message)
        : base(message)
    {
    }

    public NextPatchException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    public NextPatchException()
    {
    }
}
