namespace NextPatch.Core;

/// <summary>A file that is damaged, truncated, hostile or not what its name says. Names the file, what was expected and what was found.</summary>
public sealed class DataFormatException : NextPatchException
{
    public DataFormatException(string message)
        : base(message)
    {
    }

    public DataFormatException(string message, Exception innerException)
        : base(message, innerException)
    {
    }

    public DataFormatException()
    {
    }
}
