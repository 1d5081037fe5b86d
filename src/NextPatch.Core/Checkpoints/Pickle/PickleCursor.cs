using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

namespace NextPatch.Core.Checkpoints.Pickle;

/// <summary>Reads the operands of pickle opcodes; never past the end, and little further than they go.</summary>
internal sealed class PickleCursor
{
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private const int BufferBytes = 1 << 14;
    private const int MaxLineBytes = 1000;

    private readonly Stream _input;
    private byte[] _buffer = new byte[BufferBytes];
    private int _next;
    private int _end;

    /// <param name="input">Seekable, at its start.</param>
    /// <param name="name">What messages call it.</param>
    public PickleCursor(Stream input, string name)
    {
        _input = input;
        Name = name;
    }

    /// <summary>What messages call the pickle.</summary>
    public string Name { get; }

    /// <summary>Bytes taken so far.</summary>
    public long Position => _input.Position - (_end - _next);

    public byte Byte() => Take(1)[0];

    public int UInt16() => BinaryPrimitives.ReadUInt16LittleEndian(Take(2));

    public int Int32() => BinaryPrimitives.ReadInt32LittleEndian(Take(4));

    public uint UInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(4));

    public ulong UInt64() => BinaryPrimitives.ReadUInt64LittleEndian(Take(8));

    public double Double() => BinaryPrimitives.ReadDoubleBigEndian(Take(8));

    public string Text(ulong length) => Decode(Take(length));

    /// <summary>Text up to a line feed, which is consumed: half of a global's name.</summary>
    public string Line()
    {
        var line = new List<byte>();
        for (byte next; (next = Byte()) != (byte)'\n';)
        {
            line.Add(line.Count < MaxLineBytes ? next : throw new DataFormatException(
                $"'{Name}' has a name of more than {MaxLineBytes} bytes before byte {Position}; the file is damaged."));
        }

        return Decode(CollectionsMarshal.AsSpan(line));
    }

    /// <summary>The next bytes; valid until the next call.</summary>
    public ReadOnlySpan<byte> Take(ulong length)
    {
        if (length > (ulong)(_end - _next))
        {
            Buffer(length);
        }

        var taken = _buffer.AsSpan(_next, (int)length);
        _next += taken.Length;
        return taken;
    }

    /// <summary>The error of a pickle that makes no sense here.</summary>
    public DataFormatException Bad(string found) => new($"'{Name}' has a damaged or unsupported pickle: {found} (before byte {Position}).");

    private void Buffer(ulong length)
    {
        if (length > (ulong)(_input.Length - Position))
        {
            throw new DataFormatException(
                $"'{Name}' ends in the middle of a value at byte {Position} of {_input.Length}; the file is truncated or damaged.");
        }

        var rest = _buffer.AsSpan(_next.._end);
        var buffer = (int)length > _buffer.Length ? new byte[(int)length] : _buffer;
        rest.CopyTo(buffer);
        (_buffer, _next, _end) = (buffer, 0, rest.Length);
        _end += _input.ReadAtLeast(_buffer.AsSpan(_end), (int)length - _end);
    }

    private string Decode(ReadOnlySpan<byte> text)
    {
        try
        {
            return StrictUtf8.GetString(text);
        }
        catch (DecoderFallbackException e)
        {
            throw new DataFormatException($"'{Name}' has text that is not UTF-8 before byte {Position}; the file is damaged.", e);
        }
    }
}
