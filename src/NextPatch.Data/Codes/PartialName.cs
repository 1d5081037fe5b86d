using NextPatch.Core;

namespace NextPatch.Data.Codes;

/// <summary>Files and folders that are written under a temporary name and get their own when everything that belongs together is whole.</summary>
internal static class PartialName
{
    private const string Suffix = ".partial";

    public static string For(string path) => path + Suffix;

    /// <summary>Writes a small file that appears whole or not at all, also after the power fails.</summary>
    public static void Replace(string path, Action<Stream> write)
    {
        using (var stream = File.Create(For(path)))
        {
            write(stream);
            stream.Flush(flushToDisk: true);
        }

        File.Move(For(path), path, overwrite: true);
    }

    /// <summary>Gives the final names, in order; what already has its name is passed over, so that this may be interrupted and repeated.</summary>
    public static void Publish(string folder, IReadOnlyList<string> names)
    {
        foreach (var path in names.Select(name => Path.Combine(folder, name)))
        {
            if (Directory.Exists(For(path)))
            {
                Directory.Move(For(path), path);
            }
            else if (File.Exists(For(path)))
            {
                File.Move(For(path), path, overwrite: true);
            }
        }
    }

    public static NextPatchException CannotWrite(string folder, Exception cause) => new($"Code folder '{folder}' cannot be written: {cause.Message}", cause);
}
