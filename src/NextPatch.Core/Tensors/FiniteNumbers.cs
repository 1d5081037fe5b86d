using System.Numerics;
using System.Runtime.InteropServices;

namespace NextPatch.Core.Tensors;

/// <summary>Looks for numbers that are not finite. One pass at the speed of memory, so that whatever is loaded can be looked through.</summary>
internal static class FiniteNumbers
{
    /// <summary>Place of the first element that is infinite or no number.</summary>
    /// <param name="type">Of the elements; integers, bools and types that no network computes in have none.</param>
    /// <param name="elements">Little-endian.</param>
    /// <returns>-1 where all are finite.</returns>
    public static int FirstNotFinite(ElementType type, ReadOnlySpan<byte> elements) => type switch
    {
        ElementType.Float32 => First(MemoryMarshal.Cast<byte, uint>(elements), 0x7F80_0000u),
        ElementType.BFloat16 => First(MemoryMarshal.Cast<byte, ushort>(elements), (ushort)0x7F80),
        ElementType.Float16 => First(MemoryMarshal.Cast<byte, ushort>(elements), (ushort)0x7C00),
        ElementType.Float64 => First(MemoryMarshal.Cast<byte, ulong>(elements), 0x7FF0_0000_0000_0000ul),
        _ => -1,
    };

    /// <summary>Refuses weights that no network can compute with.</summary>
    /// <param name="key">Of the tensor.</param>
    /// <param name="type">Of its elements.</param>
    /// <param name="elements">Little-endian.</param>
    /// <param name="file">What messages call the file.</param>
    /// <param name="first">Place of the first element given in its tensor.</param>
    /// <exception cref="DataFormatException">One is infinite or no number.</exception>
    public static void Require(string key, ElementType type, ReadOnlySpan<byte> elements, string file, long first = 0)
    {
        if (FirstNotFinite(type, elements) is var bad and >= 0)
        {
            throw new DataFormatException(
                $"The weights in {file} cannot be used: '{key}' holds a number that is not finite (element {first + bad}, as {type}). "
                    + "The file is damaged, or its training diverged; take another checkpoint.");
        }
    }

    /// <summary>Place of the first of some numbers that is infinite or no number; -1 where all are finite.</summary>
    public static int FirstNotFinite(ReadOnlySpan<float> numbers) => First(MemoryMarshal.Cast<float, uint>(numbers), 0x7F80_0000u);

    /// <summary>The first whose exponent has all bits set.</summary>
    private static int First<T>(ReadOnlySpan<T> bits, T exponent)
        where T : unmanaged, IBinaryInteger<T>
    {
        var (at, mask) = (0, new Vector<T>(exponent));
        while (at <= bits.Length - Vector<T>.Count && !Vector.EqualsAny(new Vector<T>(bits[at..]) & mask, mask))
        {
            at += Vector<T>.Count;
        }

        for (; at < bits.Length; at++)
        {
            if ((bits[at] & exponent) == exponent)
            {
                return at;
            }
        }

        return -1;
    }
}
