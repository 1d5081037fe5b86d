using System.Text;

namespace NextPatch.Core.Files;

/// <summary>Reads text files that others may have written: of bounded size, no pipes, and whatever byte-order mark they begin with.</summary>
internal static class TextFile
{
    /// <summary>Settings and descriptions are far smaller, also those of a million samples.</summary>
    public const long MostBytesOfJson = 256 << 20;

    /// <summary>Longest line; far above any list of images.</summary>
    private const int LongestLine = 1 << 20;

    /// <summary>The whole text.</summary>
    /// <param name="path">The file.</param>
    /// <param name="mostBytes">Larger files are refused.</param>
    /// <exception cref="NextPatchException">It is missing or unreadable, or no file.</exception>
    /// <exception cref="DataFormatException">It is larger.</exception>
    public static string Read(string path, long mostBytes)
    {
        using var reader = new StreamReader(OpenBounded(path, mostBytes), Encoding.UTF8);
        return reader.ReadToEnd();
    }

    /// <summary>The whole file without the byte-order mark of UTF-8: what readers of JSON take.</summary>
    /// <inheritdoc cref="Read"/>
    public static byte[] ReadUtf8(string path, long mostBytes)
    {
        using var stream = OpenBounded(path, mostBytes);
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes.AsSpan().StartsWith(Encoding.UTF8.Preamble) ? bytes[Encoding.UTF8.Preamble.Length..] : bytes;
    }

    /// <summary>Lines with their numbers, from 1, as they are asked for.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="NextPatchException">It is missing or unreadable, or no file.</exception>
    /// <exception cref="DataFormatException">A line is longer than any of text is.</exception>
    public static IEnumerable<(int Number, string Text)> ReadLines(string path)
    {
        foreach (var line in ReadLines(path, OpenBounded(path, long.MaxValue)))
        {
            yield return line;
        }
    }

    /// <summary>Lines of what a file holds, packed perhaps.</summary>
    /// <param name="path">Named in errors.</param>
    /// <param name="stream">Is closed.</param>
    /// <inheritdoc cref="ReadLines(string)"/>
    public static IEnumerable<(int Number, string Text)> ReadLines(string path, Stream stream)
    {
        using var reader = new StreamReader(stream, Encoding.UTF8);
        var line = new StringBuilder();
        var number = 1;
        for (int c; (c = reader.Read()) >= 0;)
        {
            if (c != '\n')
            {
                line.Append(line.Length < LongestLine ? (char)c : throw new DataFormatException(
                    $"'{path}', line {number}: more than {LongestLine} characters; this is no text of lines."));
                continue;
            }

            yield return (number++, Taken(line));
        }

        if (line.Length > 0)
        {
            yield return (number, Taken(line));
        }
    }

    /// <summary>Opens a file for reading; says what stands in the way.</summary>
    /// <exception cref="NextPatchException">It is missing or unreadable, or no file.</exception>
    public static FileStream Open(string path, FileOptions options = FileOptions.None)
    {
        RegularFile.Require(path);
        try
        {
            return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 4096, options);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new NextPatchException($"File '{path}' does not exist; check the path.", e);
        }
        catch (Exception e) when (Directory.Exists(path))
        {
            throw new NextPatchException($"'{path}' is a folder, where a file was expected; check the path.", e);
        }
        catch (Exception e) when (e is UnauthorizedAccessException or IOException or ArgumentException)
        {
            throw new NextPatchException($"File '{path}' cannot be opened for reading: {e.Message}", e);
        }
    }

    private static FileStream OpenBounded(string path, long mostBytes)
    {
        var stream = Open(path);
        if (stream.Length <= mostBytes)
        {
            return stream;
        }

        var length = stream.Length;
        stream.Dispose();
        throw new DataFormatException($"'{path}' has {length} bytes; at most {mostBytes} are plausible for what its name says.");
    }

    private static string Taken(StringBuilder line)
    {
        var length = line.Length > 0 && line[^1] == '\r' ? line.Length - 1 : line.Length;
        var text = line.ToString(0, length);
        line.Clear();
        return text;
    }
}
