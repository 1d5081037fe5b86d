using System.Buffers.Binary;
using System.Text;

namespace NextPatch.Core.Checkpoints;

/// <summary>Reads the operands of pickle opcodes; never past the end.</summary>
internal sealed class PickleCursor
{
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly ReadOnlyMemory<byte> _bytes;
    private readonly string _name;

    public PickleCursor(ReadOnlyMemory<byte> bytes, string name)
    {
        _bytes = bytes;
        _name = name;
    }

    public int Position { get; private set; }

    public byte Byte() => Take(1)[0];

    public int UInt16() => BinaryPrimitives.ReadUInt16LittleEndian(Take(2));

    public int Int32() => BinaryPrimitives.ReadInt32LittleEndian(Take(4));

    public uint UInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(4));

    public ulong UInt64() => BinaryPrimitives.ReadUInt64LittleEndian(Take(8));

    public double Double() => BinaryPrimitives.ReadDoubleBigEndian(Take(8));

    public string Text(ulong length)
    {
        try
        {
            return StrictUtf8.GetString(Take(length));
        }
        catch (DecoderFallbackException e)
        {
            throw new DataFormatException($"'{_name}' has text that is not UTF-8 before byte {Position}; the file is damaged.", e);
        }
    }

    /// <summary>Text up to a line feed, which is consumed.</summary>
    public string Line()
    {
        var length = _bytes.Span[Position..].IndexOf((byte)'\n');
        var text = Text(length >= 0 ? (ulong)length : ulong.MaxValue);
        Position++;
        return text;
    }

    public ReadOnlySpan<byte> Take(ulong length)
    {
        if (length > (ulong)(_bytes.Length - Position))
        {
            throw new DataFormatException($"'{_name}' ends in the middle of a value at byte {Position} of {_bytes.Length}; the file is truncated or damaged.");
        }

        var taken = _bytes.Span.Slice(Position, (int)length);
        Position += taken.Length;
        return taken;
    }
}
