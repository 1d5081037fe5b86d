using System.Buffers.Binary;
using System.Text;
using Microsoft.Win32.SafeHandles;
using NextPatch.Core;

namespace NextPatch.Data.Containers;

/// <summary>
/// Compares the checksum of every header of a tar archive, as tar itself does: the platform's reader does not, and would take a damaged name or
/// length as it is.
/// </summary>
/// <remarks>Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Header Block"; GNU tar manual, "Basic Tar Format".</remarks>
internal static class TarHeaders
{
    private const int Block = 512;
    private const int SizeAt = 124;
    private const int SizeLength = 12;
    private const int ChecksumAt = 148;
    private const int ChecksumLength = 8;
    private const int TypeAt = 156;
    private const int LongestExtension = 1 << 20;

    /// <param name="archive">Open for reading.</param>
    /// <param name="path">What messages call it.</param>
    /// <param name="cancellation">Stops the walk.</param>
    /// <exception cref="DataFormatException">A header is damaged.</exception>
    public static void Check(SafeFileHandle archive, string path, CancellationToken cancellation)
    {
        Span<byte> header = stackalloc byte[Block];
        long? statedSize = null; // by an extended header, of the entry behind it
        for (var at = 0L; ;)
        {
            cancellation.ThrowIfCancellationRequested();
            var got = Read(archive, header, at);
            if (got == 0 || (got == Block && !header.ContainsAnyExcept((byte)0)))
            {
                return;
            }

            if (got < Block)
            {
                throw new DataFormatException($"'{path}' is not a sound tar archive: it ends within the header at byte {at}; it is truncated.");
            }

            if (Number(header.Slice(ChecksumAt, ChecksumLength)) is not { } stated || !IsSumOf(header, stated))
            {
                throw new DataFormatException(
                    $"'{path}' is not a sound tar archive: the header at byte {at} does not match its checksum; the file is damaged, fetch or pack "
                        + $"it "
                    + $"again.");
            }

            var size = Number(header.Slice(SizeAt, SizeLength)) ?? throw new DataFormatException(
                $"'{path}' is not a sound tar archive: the header at byte {at} states no length.");
            var type = header[TypeAt];
            var length = type switch
            {
                (byte)'x' or (byte)'g' or (byte)'L' or (byte)'K' => size,
                >= (byte)'1' and <= (byte)'6' => 0, // links, devices, folders and pipes: whatever they state, nothing follows
                _ => statedSize ?? size,
            };
            if (type == 'S' || length > RandomAccess.GetLength(archive) - at)
            {
                return; // the reader refuses sparse files, and a member that is cut short when it is read
            }

            statedSize = type == 'x' ? SizeIn(archive, at + Block, size) : type is (byte)'L' or (byte)'K' or (byte)'g' ? statedSize : null;

            at += Block + ((length + Block - 1) / Block * Block);
        }
    }

    private static bool IsSumOf(ReadOnlySpan<byte> header, long stated)
    {
        long sum = 0, signed = 0; // some old programs added signed bytes
        for (var i = 0; i < Block; i++)
        {
            var value = i is >= ChecksumAt and < ChecksumAt + ChecksumLength ? (byte)' ' : header[i];
            (sum, signed) = (sum + value, signed + (sbyte)value);
        }

        return stated == sum || stated == signed;
    }

    /// <summary>Octal digits, or, where the first bit is set, a big-endian number of GNU tar; null for neither or one that is negative.</summary>
    private static long? Number(ReadOnlySpan<byte> field)
    {
        if ((field[0] & 0x80) != 0)
        {
            var wide = BinaryPrimitives.ReadInt64BigEndian(field[^sizeof(long)..]);
            return wide >= 0 ? wide : null;
        }

        var value = 0L;
        foreach (var c in field.Trim(" \0"u8))
        {
            if (c is < (byte)'0' or > (byte)'7')
            {
                return null;
            }

            value = (value * 8) + (c - '0');
        }

        return value;
    }

    /// <summary>The length that an extended header states for the next entry; null where it states none.</summary>
    private static long? SizeIn(SafeFileHandle archive, long at, long length)
    {
        var content = new byte[(int)Math.Min(length, LongestExtension)];
        var text = Encoding.Latin1.GetString(content, 0, Read(archive, content, at));
        var start = text.IndexOf(" size=", StringComparison.Ordinal);
        return start >= 0 && text.IndexOf('\n', start) is var end and > 0 && long.TryParse(text.AsSpan((start + 6)..end), out var size) && size >= 0
            ? size
            : null;
    }

    private static int Read(SafeFileHandle archive, Span<byte> into, long at)
    {
        var done = 0;
        for (int got; done < into.Length && (got = RandomAccess.Read(archive, into[done..], at + done)) > 0;)
        {
            done += got;
        }

        return done;
    }
}
