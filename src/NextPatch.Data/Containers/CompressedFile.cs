using NextPatch.Core;
using NextPatch.Core.Files;

namespace NextPatch.Data.Containers;

/// <summary>Files that may lie gzip-compressed beside or instead of their plain form; whether one is, its first bytes say.</summary>
internal static class CompressedFile
{
    // Photographs hardly shrink, and drawn digits some ten times; small files are always taken.
    private const int MaxInflation = 64;
    private const long AlwaysAllowed = 64 << 20;

    /// <summary>The plain file, else the one with .gz, else null.</summary>
    public static string? Find(string path) => File.Exists(path) ? path : File.Exists(path + ".gz") ? path + ".gz" : null;

    /// <summary>Most bytes that a compressed file may unpack to.</summary>
    public static long LimitOf(string path) => Math.Max(AlwaysAllowed, MaxInflation * new FileInfo(path).Length);

    /// <summary>Opens for reading, and unpacks where the content is a gzip file.</summary>
    /// <exception cref="NextPatchException">It is missing or unreadable, or no file.</exception>
    public static Stream Open(string path)
    {
        var isCompressed = FileContents.From(path) == FileContent.Gzip;
        var file = TextFile.Open(path);
        return isCompressed ? new GzipFile(file) : file;
    }

    /// <summary>Fills the span, or says how many bytes were missing.</summary>
    /// <param name="source">Stream of <paramref name="path"/>.</param>
    /// <param name="destination">Where the bytes go.</param>
    /// <param name="path">For the message.</param>
    /// <param name="offset">Bytes that were read before, for the message and the bound.</param>
    public static void ReadExactly(Stream source, Span<byte> destination, string path, long offset)
    {
        var got = ReadUpTo(source, destination, path, offset);
        if (got < destination.Length)
        {
            throw new DataFormatException(
                $"'{path}' is truncated: expected {offset + destination.Length} bytes (unpacked) but got {offset + got}. Copy or download it again.");
        }
    }

    /// <summary>Fills as much as the stream has.</summary>
    /// <param name="source">Stream of <paramref name="path"/>.</param>
    /// <param name="destination">Where the bytes go.</param>
    /// <param name="path">For the message.</param>
    /// <param name="offset">Bytes that were read before.</param>
    /// <returns>Bytes read; fewer than asked for only at the end.</returns>
    /// <exception cref="DataFormatException">Damaged, or it unpacks to far more than it has.</exception>
    public static int ReadUpTo(Stream source, Span<byte> destination, string path, long offset)
    {
        try
        {
            var got = source.ReadAtLeast(destination, destination.Length, throwOnEndOfStream: false);
            return source is not GzipFile || offset + got <= LimitOf(path)
                ? got
                : throw new DataFormatException(
                    $"'{path}' unpacks to more than {MaxInflation} times its size; it is refused. Unpack it by hand if it is sound.");
        }
        catch (InvalidDataException e)
        {
            throw new DataFormatException($"'{path}' is not a sound gzip file: {e.Message}", e);
        }
    }
}
