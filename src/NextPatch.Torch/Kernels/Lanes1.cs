using System.Runtime.CompilerServices;

namespace NextPatch.Torch.Kernels;

/// <summary>One float: the plain twin of the vectors.</summary>
internal readonly unsafe struct Lanes1(float value) : ILanes<Lanes1>
{
    /// <summary>The compiler would call some of these, through memory.</summary>
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    public readonly float Value = value;

    public static int Count => 1;

    [MethodImpl(Inline)]
    public static Lanes1 Of(float value) => new(value);

    [MethodImpl(Inline)]
    public static Lanes1 Load(float* from) => new(*from);

    [MethodImpl(Inline)]
    public static void Store(float* to, Lanes1 values) => *to = values.Value;

    [MethodImpl(Inline)]
    public static Lanes1 LoadBFloat16(ushort* from) => new(BitConverter.UInt32BitsToSingle((uint)*from << 16));

    [MethodImpl(Inline)]
    public static void StoreBFloat16(ushort* to, Lanes1 values)
    {
        var bits = BitConverter.SingleToUInt32Bits(values.Value);
        *to = (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    [MethodImpl(Inline)]
    public static Lanes1 MultiplyAdd(Lanes1 a, Lanes1 b, Lanes1 c) => new(MathF.FusedMultiplyAdd(a.Value, b.Value, c.Value));

    [MethodImpl(Inline)]
    public static Lanes1 Min(Lanes1 a, Lanes1 b) => a.Value < b.Value ? a : b;

    [MethodImpl(Inline)]
    public static Lanes1 Max(Lanes1 a, Lanes1 b) => a.Value > b.Value ? a : b;

    [MethodImpl(Inline)]
    public static float Sum(Lanes1 values) => values.Value;

    [MethodImpl(Inline)]
    public static float Maximum(Lanes1 values) => values.Value;

    [MethodImpl(Inline)]
    public static Lanes1 PowerOfTwo(Lanes1 exponents) => new(BitConverter.Int32BitsToSingle((BitConverter.SingleToInt32Bits(exponents.Value) << 23) + BitConverter.SingleToInt32Bits(1)));

    [MethodImpl(Inline)]
    public static Lanes1 SwapPairs(Lanes1 values) => throw new NotSupportedException("One lane has no pairs.");

    [MethodImpl(Inline)]
    public static Lanes1 Factors(in DropMask mask, uint element) => new(mask.Factor(element));

    [MethodImpl(Inline)]
    public static Lanes1 operator +(Lanes1 a, Lanes1 b) => new(a.Value + b.Value);

    [MethodImpl(Inline)]
    public static Lanes1 operator -(Lanes1 a, Lanes1 b) => new(a.Value - b.Value);

    [MethodImpl(Inline)]
    public static Lanes1 operator *(Lanes1 a, Lanes1 b) => new(a.Value * b.Value);

    [MethodImpl(Inline)]
    public static Lanes1 operator /(Lanes1 a, Lanes1 b) => new(a.Value / b.Value);

    [MethodImpl(Inline)]
    public static Lanes1 operator -(Lanes1 a) => new(-a.Value);
}
