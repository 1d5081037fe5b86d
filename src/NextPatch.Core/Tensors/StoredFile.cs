using NextPatch.Core.Files;

namespace NextPatch.Core.Tensors;

/// <summary>Opening and reading untrusted files so that every failure names the file.</summary>
internal static class StoredFile
{
    private const int GrowthStep = 1 << 20;

    /// <exception cref="NextPatchException">The file is missing or unreadable.</exception>
    public static FileStream OpenRead(string path, FileOptions options = FileOptions.None) => TextFile.Open(path, options);

    /// <exception cref="NextPatchException">The folder is missing or not writable.</exception>
    public static FileStream Create(string path)
    {
        try
        {
            return new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None);
        }
        catch (Exception e) when (e is UnauthorizedAccessException or IOException)
        {
            throw new NextPatchException($"File '{path}' cannot be written: {e.Message}", e);
        }
    }

    /// <summary><see cref="AtomicFile.Write"/>: a reader never sees half of the file.</summary>
    /// <exception cref="NextPatchException">The folder is missing, full or not writable.</exception>
    public static void Replace(string path, Action<FileStream> write)
    {
        try
        {
            AtomicFile.Write(path, write);
        }
        catch (Exception e) when (e is UnauthorizedAccessException or IOException)
        {
            throw new NextPatchException($"File '{path}' cannot be written: {e.Message}", e);
        }
    }

    /// <summary>Reads exactly <paramref name="count"/> bytes.</summary>
    /// <remarks>Where the length of the stream is unknown the buffer grows with what really arrives, so a lying header costs nothing.</remarks>
    public static byte[] ReadBytes(Stream stream, int count, string name, string what)
    {
        var known = stream.CanSeek;
        if (known && stream.Length - stream.Position < count)
        {
            throw Truncated(name, what, count, stream.Length - stream.Position);
        }

        var buffer = new byte[known ? count : Math.Min(count, GrowthStep)];
        for (var filled = 0; ;)
        {
            filled += stream.ReadAtLeast(buffer.AsSpan(filled), buffer.Length - filled, throwOnEndOfStream: false);
            if (filled < buffer.Length)
            {
                throw Truncated(name, what, count, filled);
            }

            if (filled == count)
            {
                return buffer;
            }

            Array.Resize(ref buffer, (int)Math.Min(count, buffer.Length * 2L));
        }
    }

    /// <summary>Text from a file as messages show it: short, on one line.</summary>
    public static string Quote(string text)
    {
        var shown = text.Length <= 120 ? text : text[..120] + "...";
        return $"'{string.Concat(shown.Select(c => char.IsControl(c) || PrintableText.IsHarmful(c) ? '?' : c))}'";
    }

    private static DataFormatException Truncated(string name, string what, long expected, long actual)
        => new($"'{name}' is truncated: {what} needs {expected} bytes but {actual} remain; fetch or write the file again.");
}
