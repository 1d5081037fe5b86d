using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace NextPatch.Core.Tensors;

/// <summary>bfloat16: the upper half of a float32, held as its 16 bits. Whatever rounds to it, kernels too, does it here.</summary>
/// <remarks>Compiled for speed at once where whole models go through: left to tiers, the first passes took several times as long.</remarks>
internal static class BFloat16
{
    private const uint QuietNaN = 0x7FC0;

    /// <summary>Exact.</summary>
    public static float ToSingle(ushort bits) => BitConverter.UInt32BitsToSingle((uint)bits << 16);

    /// <summary>Nearest, ties to even; NaN becomes the quiet NaN, as in PyTorch.</summary>
    public static ushort FromSingle(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        return float.IsNaN(value) ? (ushort)QuietNaN : (ushort)RoundBits(bits);
    }

    /// <summary>Widens every element; <paramref name="to"/> is at least as long.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
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
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
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

    /// <summary>Bits of a float32 to those of the nearest bfloat16, ties to even, for numbers that are not NaN: NaN may become another NaN, infinity
    /// or zero. For values that are computed on, where the check would cost and NaN is caught elsewhere.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static uint RoundBits(uint bits) => (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;

    /// <inheritdoc cref="RoundBits(uint)"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector256<uint> RoundBits(Vector256<uint> bits)
        => (bits + Vector256.Create(0x7FFFu) + ((bits >> 16) & Vector256<uint>.One)) >> 16;

    /// <inheritdoc cref="RoundBits(uint)"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static Vector512<uint> RoundBits(Vector512<uint> bits)
        => (bits + Vector512.Create(0x7FFFu) + ((bits >> 16) & Vector512<uint>.One)) >> 16;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<uint> Round(Vector<float> values)
    {
        var bits = Vector.AsVectorUInt32(values);
        var rounded = (bits + new Vector<uint>(0x7FFF) + ((bits >> 16) & Vector<uint>.One)) >> 16;
        return Vector.ConditionalSelect(Vector.AsVectorUInt32(Vector.Equals(values, values)), rounded, new Vector<uint>(QuietNaN));
    }
}
