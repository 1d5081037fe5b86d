using System.Buffers.Binary;
using System.Text;

namespace NextPatch.Core.Files;

/// <summary>What the first bytes of a file say that it is: extensions lie, after downloads and renaming.</summary>
internal enum FileContent
{
    /// <summary>Nothing that is known here.</summary>
    Unknown,

    Safetensors,

    /// <summary>A .npz, a checkpoint of torch.save, or an archive of images.</summary>
    Zip,

    /// <summary>One NumPy array.</summary>
    Npy,

    /// <summary>A checkpoint of torch.save from before 2020.</summary>
    Pickle,

    Gzip,

    Tar,

    /// <summary>JPEG, PNG, GIF, WebP or BMP.</summary>
    Image,

    /// <summary>JSON, or lines of it.</summary>
    Json,

    /// <summary>What a clone without Git LFS has in place of a large file.</summary>
    LfsPointer,

    /// <summary>HTML or XML: mostly an error page that was saved instead of a file.</summary>
    WebPage,
}

/// <summary>Looks at the first bytes of files.</summary>
internal static class FileContents
{
    private const int LookedAt = 512;
    private const int TarMarkAt = 257;
    private const ulong LargestSafetensorsHeader = 100_000_000;

    /// <summary>What a file holds, by its first bytes.</summary>
    /// <exception cref="NextPatchException">It is missing or unreadable, or no file.</exception>
    public static FileContent From(string path)
    {
        using var stream = TextFile.Open(path);
        Span<byte> start = stackalloc byte[LookedAt];
        return From(start[..stream.ReadAtLeast(start, start.Length, throwOnEndOfStream: false)]);
    }

    /// <summary>What begins with these bytes, of which 512 suffice.</summary>
    public static FileContent From(ReadOnlySpan<byte> start)
    {
        var text = WithoutBlanks(start);
        return start switch
        {
            [(byte)'P', (byte)'K', 3 or 5, 4 or 6, ..] => FileContent.Zip,
            [0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y', ..] => FileContent.Npy,
            [0x80, >= 1 and <= 5, ..] => FileContent.Pickle,
            [0x1F, 0x8B, ..] => FileContent.Gzip,
            _ when start.Length >= 9 && start[8] == '{' && BinaryPrimitives.ReadUInt64LittleEndian(start) is > 1 and <= LargestSafetensorsHeader
                => FileContent.Safetensors,
            _ when IsImage(start) => FileContent.Image,
            _ when start.Length >= TarMarkAt + 5 && start[TarMarkAt..].StartsWith("ustar"u8) => FileContent.Tar,
            _ when text.StartsWith("{"u8) || text.StartsWith("["u8) => FileContent.Json,
            _ when text.StartsWith("version https://git-lfs"u8) => FileContent.LfsPointer,
            _ when text.StartsWith("<"u8) => FileContent.WebPage,
            _ => FileContent.Unknown,
        };
    }

    /// <summary>In words, with an article; null for what is not known.</summary>
    public static string? Describe(FileContent content) => content switch
    {
        FileContent.Safetensors => "a safetensors file",
        FileContent.Zip => "a zip archive (a .npz, a PyTorch checkpoint, or packed images)",
        FileContent.Npy => "a NumPy array (.npy)",
        FileContent.Pickle => "a pickle, as PyTorch checkpoints of the older format are",
        FileContent.Gzip => "a gzip file",
        FileContent.Tar => "a tar archive",
        FileContent.Image => "a picture",
        FileContent.Json => "JSON text",
        FileContent.LfsPointer => "a pointer of Git LFS; 'git lfs pull' fetches the file itself",
        FileContent.WebPage => "a web page, perhaps saved instead of what was to be downloaded",
        _ => null,
    };

    /// <summary>A sentence with a blank before it that says what a file is, to follow one that says what it is not; empty where that is not
    /// known.</summary>
    /// <param name="path">The file; one that cannot be read says nothing.</param>
    public static string Remark(string path)
    {
        try
        {
            return Describe(From(path)) is { } found ? $" By its first bytes it is {found}." : "";
        }
        catch (NextPatchException)
        {
            return "";
        }
    }

    private static bool IsImage(ReadOnlySpan<byte> start)
        => start.StartsWith((ReadOnlySpan<byte>)[0xFF, 0xD8, 0xFF]) || start.StartsWith((ReadOnlySpan<byte>)[0x89, (byte)'P', (byte)'N', (byte)'G'])
            || start.StartsWith("GIF8"u8) || start.StartsWith("BM"u8) || (start.StartsWith("RIFF"u8) && start.Length > 12 && start[8..].StartsWith(
                "WEBP"u8));

    private static ReadOnlySpan<byte> WithoutBlanks(ReadOnlySpan<byte> start)
    {
        var text = start.StartsWith(Encoding.UTF8.Preamble) ? start[3..] : start;
        return text.TrimStart(" \t\r\n"u8);
    }
}
