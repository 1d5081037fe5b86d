using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace NextPatch.Training.Runs;

/// <summary>Writes a protocol buffer message field by field: what TensorBoard's event files are made of.</summary>
internal sealed class ProtoWriter
{
    private const int Varint = 0;
    private const int Fixed64 = 1;
    private const int Bytes = 2;
    private const int Fixed32 = 5;

    private readonly ArrayBufferWriter<byte> _bytes = new();

    public ReadOnlySpan<byte> Written => _bytes.WrittenSpan;

    public ProtoWriter Int(int field, long value)
    {
        Number((ulong)((field << 3) | Varint));
        Number((ulong)value);
        return this;
    }

    public ProtoWriter Double(int field, double value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(double)];
        BinaryPrimitives.WriteDoubleLittleEndian(bytes, value);
        Number((ulong)((field << 3) | Fixed64));
        _bytes.Write(bytes);
        return this;
    }

    public ProtoWriter Float(int field, float value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(float)];
        BinaryPrimitives.WriteSingleLittleEndian(bytes, value);
        Number((ulong)((field << 3) | Fixed32));
        _bytes.Write(bytes);
        return this;
    }

    public ProtoWriter Data(int field, ReadOnlySpan<byte> value)
    {
        Number((ulong)((field << 3) | Bytes));
        Number((ulong)value.Length);
        _bytes.Write(value);
        return this;
    }

    public ProtoWriter Text(int field, string value) => Data(field, Encoding.UTF8.GetBytes(value));

    public ProtoWriter Message(int field, ProtoWriter value) => Data(field, value.Written);

    private void Number(ulong value)
    {
        for (; value >= 0x80; value >>= 7)
        {
            _bytes.Write([(byte)(value | 0x80)]);
        }

        _bytes.Write([(byte)value]);
    }
}
