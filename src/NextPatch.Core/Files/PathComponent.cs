using System.Text;

namespace NextPatch.Core.Files;

/// <summary>
/// Names that a file or a person gives and that become a part of a path: one component, which never leads elsewhere. The one check of them all.
/// </summary>
internal static class PathComponent
{
    // What file systems take.
    private const int LargestBytes = 255;

    /// <summary>Why a text names no file or folder of the folder it stands in; null where it does.</summary>
    public static string? ProblemOf(string? name) => name switch
    {
        null or "" => "it is empty",
        "." or ".." => "it means a folder and names none",
        _ when name.AsSpan().ContainsAny('/', '\\', ':') => "it holds a '/', '\\' or ':', so it could lead out of the folder",
        _ when name.Any(char.IsControl) => "it holds control characters",
        _ when name.EndsWith(' ') || name.StartsWith(' ') || name.EndsWith('.') => "it begins or ends with a space, or ends with a full stop",
        _ when Encoding.UTF8.GetByteCount(name) > LargestBytes => $"it has more than {LargestBytes} bytes",
        _ => null,
    };

    /// <summary>The same name, where it is one.</summary>
    /// <param name="name">As a file says it.</param>
    /// <param name="source">What says it, for the message: a path.</param>
    /// <exception cref="DataFormatException">It is no name of a file or folder beside the one that says it.</exception>
    public static string Require(string? name, string source) => ProblemOf(name) is { } problem
        ? throw new DataFormatException(
            $"'{source}' names '{Short(name ?? "")}', which is no file or folder beside it: {problem}. The file is damaged or hostile.")
        : name!;

    private static string Short(string name) => PrintableText.From(name.Length <= 80 ? name : name[..80] + "...");
}
