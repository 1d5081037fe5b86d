using System.Buffers.Binary;
using NextPatch.Core;

namespace NextPatch.Text.Tokens;

/// <summary>Which characters of a text stand for others (compatibility forms, unusual blanks), as a model file carries it.</summary>
/// <remarks>Source: SentencePiece's precompiled map: the length of a double-array trie (Darts-clone), the trie, then the replacements, each ended by
/// 0.
/// </remarks>
internal sealed class CharacterMap
{
    private readonly uint[] _units;
    private readonly ReadOnlyMemory<byte> _replacements;

    private CharacterMap(uint[] units, ReadOnlyMemory<byte> replacements) => (_units, _replacements) = (units, replacements);

    /// <exception cref="DataFormatException">Its lengths do not fit.</exception>
    public static CharacterMap Read(ReadOnlyMemory<byte> map, string path)
    {
        var length = map.Length < sizeof(uint) ? uint.MaxValue : BinaryPrimitives.ReadUInt32LittleEndian(map.Span);
        if (length % sizeof(uint) != 0 || length == 0 || length > map.Length - sizeof(uint))
        {
            throw new DataFormatException(
                $"'{path}' is no whole SentencePiece model: its map of characters has {map.Length} bytes and says {length} of its first part. "
                    + $"Fetch it "
                + "again.");
        }

        var units = new uint[length / sizeof(uint)];
        for (var i = 0; i < units.Length; i++)
        {
            units[i] = BinaryPrimitives.ReadUInt32LittleEndian(map.Span[(sizeof(uint) * (i + 1))..]);
        }

        return new CharacterMap(units, map[(sizeof(uint) + (int)length)..]);
    }

    /// <summary>The longest beginning of a text that is replaced.</summary>
    /// <param name="text">UTF-8.</param>
    /// <param name="replacement">UTF-8, maybe empty.</param>
    /// <returns>Bytes that are replaced; 0 for none.</returns>
    public int Find(ReadOnlySpan<byte> text, out ReadOnlySpan<byte> replacement)
    {
        replacement = default;
        var found = 0;
        for (var (i, node) = (0, Offset(_units[0])); i < text.Length; i++)
        {
            node ^= text[i];
            if (node >= _units.Length || (_units[node] & 0x800000FF) != text[i])
            {
                break;
            }

            var unit = _units[node];
            node ^= Offset(unit);
            if ((unit & 0x100) != 0 && node < _units.Length)
            {
                var start = (int)Math.Min(_units[node] & int.MaxValue, (uint)_replacements.Length);
                var rest = _replacements.Span[start..];
                replacement = rest.IndexOf((byte)0) is var end and >= 0 ? rest[..end] : rest;
                found = i + 1;
            }
        }

        return found;
    }

    private static uint Offset(uint unit) => (unit >> 10) << (int)((unit & 0x200) >> 6);
}
