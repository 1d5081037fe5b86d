using System.Numerics;

namespace NextPatch.Core.Tensors;

/// <summary>bfloat16: the upper half of a float32, held as its 16 bits.</summary>
public static class BFloat16
{
    private const uint QuietNaN = 0x7FC0;

    /// <summary>Exact.</summary>
    public static float ToSingle(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);

    /// <summary>Nearest, ties to even; NaN becomes the quiet NaN, as in PyTorch.</summary>
    public static ushort FromSingle(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        return float.IsNaN(value) ? (ushort)QuietNaN : (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    /// <summary>Widens every element; <paramref name="to"/> is at least as long.</summary>
    public static void Widen(ReadOnlySpan<ushort> from, Span<float> to)
    {
        var i = 0;
        for (; i <= from.Length - Vector<ushort>.Count; i += Vector<ushort>.Count)
        {
            Vector.Widen(new Vector<ushort>(from[i..]), out var low, out var high);
            Vector.AsVectorSingle(low << 16).CopyTo(to[i..]);
            Vector.AsVectorSingle(high << 16).CopyTo(to[(i + Vector<uint>.Count)..]);
        }

        for (; i < from.Length; i++)
        {
            to[i] = ToSingle(from[i]);
        }
    }

    /// <summary>Rounds every element as <see cref="FromSingle"/> does; <paramref name="to"/> is at least as long.</summary>
    public static void Narrow(ReadOnlySpan<float> from, Span<ushort> to)
    {
        var i = 0;
        for (; i <= from.Length - Vector<ushort>.Count; i += Vector<ushort>.Count)
        {
            Vector.Narrow(Round(new Vector<float>(from[i..])), Round(new Vector<float>(from[(i + Vector<float>.Count)..]))).CopyTo(to[i..]);
        }

        for (; i < from.Length; i++)
        {
            to[i] = FromSingle(from[i]);
        }
    }

    private static Vector<uint> Round(Vector<float> values)
    {
        var bits = Vector.AsVectorUInt32(values);
        var rounded = (bits + new Vector<uint>(0x7FFF) + ((bits >> 16) & Vector<uint>.One)) >> 16;
        return Vector.ConditionalSelect(Vector.AsVectorUInt32(Vector.Equals(values, values)), rounded, new Vector<uint>(QuietNaN));
    }
}
