using System.Buffers.Binary;
using System.Text;

namespace NextPatch.Training.Runs;

/// <summary>Cuts off of an event file what a session that was killed, or a result that counts no more, left in it.</summary>
internal static class EventTrim
{
    private const int HeaderLength = 12;
    private const int FooterLength = 4;

    /// <summary>Keeps the records up to a step; also drops a result of that very step, which is written again.</summary>
    /// <param name="path">A file of ours, or of an earlier version.</param>
    /// <param name="lastStep">Records of later steps go, with everything behind the first of them, and so does a torn end.</param>
    /// <param name="resultPrefix">How tags of results begin.</param>
    /// <param name="endTag">The tag that a result ends with.</param>
    /// <param name="soughtTag">A tag to look for.</param>
    /// <returns>Whether a record with that tag stays.</returns>
    public static bool CutAfter(string path, long lastStep, string resultPrefix, string endTag, string soughtTag)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        var (isFound, whole) = (false, 0L);
        var header = new byte[HeaderLength];
        while (file.ReadAtLeast(header, HeaderLength, throwOnEndOfStream: false) == HeaderLength)
        {
            var length = BinaryPrimitives.ReadUInt64LittleEndian(header);
            if (length > (ulong)(file.Length - file.Position))
            {
                break;
            }

            var record = new byte[(int)length];
            file.ReadExactly(record);
            var (step, tag) = Read(record);
            var isResult = tag.StartsWith(resultPrefix, StringComparison.Ordinal) || tag == endTag;
            if (file.Length - file.Position < FooterLength || step > lastStep || (step == lastStep && isResult))
            {
                break;
            }

            isFound |= tag == soughtTag;
            file.Position += FooterLength;
            whole = file.Position;
        }

        file.SetLength(whole);
        return isFound;
    }

    /// <summary>Step and first tag of an <c>Event</c>; a session's start counts as a step of no value.</summary>
    private static (long Step, string Tag) Read(ReadOnlySpan<byte> record)
    {
        var (step, tag, isStart) = (0L, "", false);
        while (Next(ref record, out var field, out var number, out var bytes))
        {
            step = field == 2 ? number : step;
            tag = field == 5 && Find(bytes, 1, out var value) && Find(value, 1, out var name) ? Encoding.UTF8.GetString(name) : tag;
            isStart |= field == 7;
        }

        return (isStart ? 0 : step, tag);
    }

    private static bool Find(ReadOnlySpan<byte> message, int wanted, out ReadOnlySpan<byte> found)
    {
        while (Next(ref message, out var field, out _, out found))
        {
            if (field == wanted)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Takes a field off a message; false at its end, or where it is none.</summary>
    private static bool Next(scoped ref ReadOnlySpan<byte> message, out int field, out long number, out ReadOnlySpan<byte> bytes)
    {
        (field, number) = (0, 0);
        bytes = default;
        if (!Varint(ref message, out var key))
        {
            return false;
        }

        field = (int)(key >> 3);
        ulong length = (key & 7) switch { 1 => sizeof(double), 5 => sizeof(float), _ => 0 };
        if ((key & 7) == 0)
        {
            var isWhole = Varint(ref message, out var value);
            number = (long)value;
            return isWhole;
        }

        if (((key & 7) == 2 && !Varint(ref message, out length)) || length > (ulong)message.Length)
        {
            return false;
        }

        bytes = message[..(int)length];
        message = message[(int)length..];
        return true;
    }

    private static bool Varint(scoped ref ReadOnlySpan<byte> message, out ulong value)
    {
        value = 0;
        for (var i = 0; i < Math.Min(message.Length, 10); i++)
        {
            value |= (ulong)(message[i] & 0x7f) << (7 * i);
            if (message[i] < 0x80)
            {
                message = message[(i + 1)..];
                return true;
            }
        }

        return false;
    }
}
