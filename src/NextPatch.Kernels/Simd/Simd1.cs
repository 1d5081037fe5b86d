using System.Runtime.CompilerServices;
using NextPatch.Core.Tensors;

namespace NextPatch.Kernels.Simd;

/// <summary>One float: the reference that the vectors must equal.</summary>
internal readonly unsafe struct Simd1(float value) : ISimd<Simd1>
{
    /// <summary>The compiler would call some of these, through memory.</summary>
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    public readonly float Value = value;

    public static int Count => 1;

    [MethodImpl(Inline)]
    public static Simd1 Create(float value) => new(value);

    [MethodImpl(Inline)]
    public static Simd1 Load(float* from) => new(*from);

    [MethodImpl(Inline)]
    public static void Store(float* to, Simd1 values) => *to = values.Value;

    [MethodImpl(Inline)]
    public static Simd1 LoadBFloat16(ushort* from) => new(BFloat16.ToSingle(*from));

    [MethodImpl(Inline)]
    public static Simd1 LoadPairs(sbyte* from) => new(BitConverter.Int32BitsToSingle((ushort)(short)from[0] | (from[1] << 16)));

    [MethodImpl(Inline)]
    public static Simd1 MultiplyAddPairs(Simd1 a, Simd1 b, Simd1 c)
    {
        var (x, y) = (BitConverter.SingleToInt32Bits(a.Value), BitConverter.SingleToInt32Bits(b.Value));
        return new(BitConverter.Int32BitsToSingle(BitConverter.SingleToInt32Bits(c.Value) + ((short)x * (short)y) + ((x >> 16) * (y >> 16))));
    }

    [MethodImpl(Inline)]
    public static Simd1 FromWhole(Simd1 values) => new(BitConverter.SingleToInt32Bits(values.Value));

    [MethodImpl(Inline)]
    public static void StoreLowHalves(short* to, Simd1 values) => *to = (short)BitConverter.SingleToInt32Bits(values.Value);

    [MethodImpl(Inline)]
    public static void StoreBFloat16(ushort* to, Simd1 values) => *to = (ushort)BFloat16.RoundBits(BitConverter.SingleToUInt32Bits(values.Value));

    [MethodImpl(Inline)]
    public static Simd1 MultiplyAdd(Simd1 a, Simd1 b, Simd1 c) => new(MathF.FusedMultiplyAdd(a.Value, b.Value, c.Value));

    [MethodImpl(Inline)]
    public static Simd1 Min(Simd1 a, Simd1 b) => a.Value < b.Value ? a : b;

    [MethodImpl(Inline)]
    public static Simd1 Max(Simd1 a, Simd1 b) => a.Value > b.Value ? a : b;

    [MethodImpl(Inline)]
    public static float Sum(Simd1 values) => values.Value;

    [MethodImpl(Inline)]
    public static float Maximum(Simd1 values) => values.Value;

    [MethodImpl(Inline)]
    public static Simd1 PowerOfTwo(Simd1 exponents)
        => new(BitConverter.Int32BitsToSingle((BitConverter.SingleToInt32Bits(exponents.Value) << 23) + BitConverter.SingleToInt32Bits(1)));

    [MethodImpl(Inline)]
    public static Simd1 SwapPairs(Simd1 values) => throw new NotSupportedException("One lane has no pairs.");

    [MethodImpl(Inline)]
    public static Simd1 Factors(in DropMask mask, uint element) => new(mask.Factor(element));

    [MethodImpl(Inline)]
    public static Simd1 operator +(Simd1 a, Simd1 b) => new(a.Value + b.Value);

    [MethodImpl(Inline)]
    public static Simd1 operator -(Simd1 a, Simd1 b) => new(a.Value - b.Value);

    [MethodImpl(Inline)]
    public static Simd1 operator *(Simd1 a, Simd1 b) => new(a.Value * b.Value);

    [MethodImpl(Inline)]
    public static Simd1 operator /(Simd1 a, Simd1 b) => new(a.Value / b.Value);

    [MethodImpl(Inline)]
    public static Simd1 operator -(Simd1 a) => new(-a.Value);
}
