using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace NextPatch.Core.Tests.Checkpoints;

/// <summary>Damages bytes in the ways that find errors in readers: flips, cuts, copies, extreme numbers; the same seed does the same.</summary>
internal sealed partial class Mutator(int seed)
{
    private static readonly long[] Extremes =
    [
        0, 1, -1, 127, 128, 255, 256, 32767, 32768, 65535, 65536, int.MaxValue, (long)int.MaxValue + 1, uint.MaxValue, 1L << 32, 1L << 40, 1L << 60,
        long.MaxValue, long.MinValue,
    ];

    private readonly Random _random = new(seed);

    public Random Random => _random;

    /// <summary>One to four changes.</summary>
    public byte[] Change(byte[] original)
    {
        var bytes = original;
        for (var changes = _random.Next(1, 5); changes > 0; changes--)
        {
            bytes = bytes.Length == 0 ? [(byte)_random.Next(256)] : ChangeOnce(bytes);
        }

        return bytes;
    }

    /// <summary>Replaces numbers in a text by extreme ones.</summary>
    public string ChangeNumbers(string text)
    {
        var matches = Number().Matches(text);
        if (matches.Count == 0)
        {
            return text;
        }

        var chosen = matches[_random.Next(matches.Count)];
        return text[..chosen.Index] + Extreme().ToString(CultureInfo.InvariantCulture) + text[(chosen.Index + chosen.Length)..];
    }

    private byte[] ChangeOnce(byte[] bytes)
    {
        var at = _random.Next(bytes.Length);
        var length = Math.Min(_random.Next(1, 64), bytes.Length - at);
        switch (_random.Next(9))
        {
            case 0: return bytes[..at]; // cut off
            case 1: return [.. bytes[..at], .. bytes[(at + length)..]]; // cut out
            case 2: return [.. bytes[..(at + length)], .. bytes[at..]]; // twice
            case 3:
                return [.. bytes[..at], .. Encoding.ASCII.GetBytes(ChangeNumbers(Encoding.ASCII.GetString(bytes, at, length))),
                .. bytes[(at + length)..]];
            case 4:
                var from = _random.Next(bytes.Length);
                return [.. bytes[..at], .. bytes.AsSpan(from, Math.Min(length, bytes.Length - from)), .. bytes[at..]]; // from elsewhere
            case 5: return Overwrite(bytes, at, Extreme(), sizeof(int));
            case 6: return Overwrite(bytes, at, Extreme(), sizeof(long));
            case 7: return Overwrite(bytes, at, _random.Next(256), 1);
            default: return Overwrite(bytes, at, bytes[at] ^ (1 << _random.Next(8)), 1);
        }
    }

    private static byte[] Overwrite(byte[] bytes, int at, long value, int size)
    {
        var changed = (byte[])bytes.Clone();
        var number = new byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(number, value);
        number.AsSpan(0, Math.Min(size, bytes.Length - at)).CopyTo(changed.AsSpan(at));
        return changed;
    }

    private long Extreme() => Extremes[_random.Next(Extremes.Length)];

    [GeneratedRegex(@"-?\d+")]
    private static partial Regex Number();
}
