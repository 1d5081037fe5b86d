using System.IO.Compression;
using NextPatch.Core;

namespace NextPatch.Data.Containers;

/// <summary>Files that may lie gzip-compressed beside or instead of their plain form.</summary>
internal static class CompressedFile
{
    /// <summary>The plain file, else the one with .gz, else null.</summary>
    public static string? Find(string path) => File.Exists(path) ? path : File.Exists(path + ".gz") ? path + ".gz" : null;

    /// <summary>Opens for reading and unpacks by extension.</summary>
    public static Stream Open(string path)
    {
        var file = File.OpenRead(path);
        return path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase) ? new GZipStream(file, CompressionMode.Decompress) : file;
    }

    /// <summary>Fills the span, or says how many bytes were missing.</summary>
    /// <param name="source">Stream of <paramref name="path"/>.</param>
    /// <param name="destination">Where the bytes go.</param>
    /// <param name="path">For the message.</param>
    /// <param name="offset">Bytes that were read before, for the message.</param>
    public static void ReadExactly(Stream source, Span<byte> destination, string path, long offset)
    {
        var got = ReadUpTo(source, destination, path);
        if (got < destination.Length)
        {
            throw new DataFormatException(
                $"'{path}' is truncated: expected {offset + destination.Length} bytes (unpacked) but got {offset + got}. Copy or download it again.");
        }
    }

    /// <summary>Fills as much as the stream has.</summary>
    /// <returns>Bytes read; fewer than asked for only at the end.</returns>
    public static int ReadUpTo(Stream source, Span<byte> destination, string path)
    {
        try
        {
            return source.ReadAtLeast(destination, destination.Length, throwOnEndOfStream: false);
        }
        catch (InvalidDataException e)
        {
            throw new DataFormatException($"'{path}' is not a sound gzip file: {e.Message}", e);
        }
    }
}
