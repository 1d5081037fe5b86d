using System.Buffers.Binary;
using System.Numerics;
using System.Text;

namespace NextPatch.Core.Checkpoints.Pickle;

/// <summary>Writes a pickle of protocol 2, opcode by opcode, with the memo entries that CPython's pickler would write.</summary>
internal sealed class PickleWriter
{
    private readonly List<byte> _bytes = [];
    private readonly Dictionary<string, uint> _memo = [];
    private uint _memoized;

    public PickleWriter() => Write([(byte)PickleOpcode.Proto, 2]);

    public void Op(PickleOpcode opcode) => _bytes.Add((byte)opcode);

    /// <summary>Remembers the value on the stack, as the reference writer does for all but numbers.</summary>
    public void Memoize()
    {
        var index = _memoized++;
        Indexed(PickleOpcode.BinPut, PickleOpcode.LongBinPut, index);
    }

    /// <summary>Text that occurs once.</summary>
    public void Text(string text)
    {
        var utf8 = Encoding.UTF8.GetBytes(text);
        Op(PickleOpcode.BinUnicode);
        UInt32((uint)utf8.Length);
        Write(utf8);
        Memoize();
    }

    /// <summary>Text that recurs: written once, then recalled.</summary>
    public void SharedText(string text)
    {
        if (!Recall(text))
        {
            Text(text);
        }
    }

    /// <summary>"module.name", written once, then recalled.</summary>
    public void Global(string module, string name)
    {
        var text = $"{module}\n{name}\n";
        if (!Recall(text))
        {
            Op(PickleOpcode.Global);
            Write(Encoding.ASCII.GetBytes(text));
            Memoize();
        }
    }

    /// <summary>Big-endian, unlike everything else.</summary>
    public void Real(double value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(double)];
        BinaryPrimitives.WriteDoubleBigEndian(bytes, value);
        Op(PickleOpcode.BinFloat);
        Write(bytes);
    }

    public void Integer(long value)
    {
        switch (value)
        {
            case >= 0 and <= byte.MaxValue:
                Op(PickleOpcode.BinInt1);
                _bytes.Add((byte)value);
                break;
            case >= 0 and <= ushort.MaxValue:
                Op(PickleOpcode.BinInt2);
                Write([(byte)value, (byte)(value >> 8)]);
                break;
            case >= int.MinValue and <= int.MaxValue:
                Op(PickleOpcode.BinInt);
                UInt32((uint)(int)value);
                break;
            default:
                var bytes = new BigInteger(value).ToByteArray();
                Op(PickleOpcode.Long1);
                _bytes.Add((byte)bytes.Length);
                Write(bytes);
                break;
        }
    }

    public void Tuple(IReadOnlyList<long> values)
    {
        if (values.Count == 0)
        {
            Op(PickleOpcode.EmptyTuple);
            return;
        }

        if (values.Count > 3)
        {
            Op(PickleOpcode.Mark);
        }

        foreach (var value in values)
        {
            Integer(value);
        }

        Op(values.Count switch
        {
            1 => PickleOpcode.Tuple1,
            2 => PickleOpcode.Tuple2,
            3 => PickleOpcode.Tuple3,
            _ => PickleOpcode.Tuple,
        });
        Memoize();
    }

    /// <summary>An empty collections.OrderedDict.</summary>
    public void OrderedDictionary()
    {
        Global("collections", "OrderedDict");
        Op(PickleOpcode.EmptyTuple);
        Op(PickleOpcode.Reduce);
        Memoize();
    }

    public byte[] Finish()
    {
        Op(PickleOpcode.Stop);
        return [.. _bytes];
    }

    /// <summary>Pushes what was written under this name before; else lets the next entry have it.</summary>
    private bool Recall(string name)
    {
        if (_memo.TryGetValue(name, out var index))
        {
            Indexed(PickleOpcode.BinGet, PickleOpcode.LongBinGet, index);
            return true;
        }

        _memo.Add(name, _memoized);
        return false;
    }

    private void Indexed(PickleOpcode small, PickleOpcode large, uint index)
    {
        if (index <= byte.MaxValue)
        {
            Op(small);
            _bytes.Add((byte)index);
        }
        else
        {
            Op(large);
            UInt32(index);
        }
    }

    private void UInt32(uint value)
    {
        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        Write(bytes);
    }

    private void Write(ReadOnlySpan<byte> bytes) => _bytes.AddRange(bytes);
}
