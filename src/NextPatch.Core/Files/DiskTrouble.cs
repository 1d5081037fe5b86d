namespace NextPatch.Core.Files;

/// <summary>Tells errors of the disk, which may pass, from errors of the program, which do not.</summary>
internal static class DiskTrouble
{
    /// <summary>Whether a write failed because of the disk: full, gone, a quota, a limit, a permission.</summary>
    public static bool Is(Exception exception) => exception switch
    {
        IOException or UnauthorizedAccessException => true,
        ArgumentOutOfRangeException { ActualValue: null, ParamName: "value" } => true, // how .NET reports EFBIG, a file beyond the allowed size
        NextPatchException { InnerException: { } cause } => Is(cause),
        _ => false,
    };
}
