using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using NextPatch.Core.Tensors;

namespace NextPatch.Kernels.Simd;

/// <summary>Sixteen floats in 512 bits; for processors with AVX-512.</summary>
internal readonly unsafe struct Simd16(Vector512<float> values) : ISimd<Simd16>
{
    /// <summary>The compiler would call some of these, through memory.</summary>
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    private readonly Vector512<float> _values = values;

    public static int Count => 16;

    [MethodImpl(Inline)]
    public static Simd16 Create(float value) => new(Vector512.Create(value));

    [MethodImpl(Inline)]
    public static Simd16 Load(float* from) => new(Vector512.Load(from));

    [MethodImpl(Inline)]
    public static void Store(float* to, Simd16 values) => values._values.Store(to);

    [MethodImpl(Inline)]
    public static Simd16 LoadBFloat16(ushort* from) => new((Avx512F.ConvertToVector512Int32(Vector256.Load(from)) << 16).AsSingle());

    [MethodImpl(Inline)]
    public static Simd16 LoadPairs(sbyte* from) => new(Avx512BW.ConvertToVector512Int16(Vector256.Load(from)).AsSingle());

    [MethodImpl(Inline)]
    public static Simd16 MultiplyAddPairs(Simd16 a, Simd16 b, Simd16 c)
        => new((Avx512BW.MultiplyAddAdjacent(a._values.AsInt16(), b._values.AsInt16()) + c._values.AsInt32()).AsSingle());

    [MethodImpl(Inline)]
    public static Simd16 FromWhole(Simd16 values) => new(Vector512.ConvertToSingle(values._values.AsInt32()));

    [MethodImpl(Inline)]
    public static void StoreLowHalves(short* to, Simd16 values) => Avx512F.ConvertToVector256Int16(values._values.AsInt32()).Store(to);

    [MethodImpl(Inline)]
    public static void StoreBFloat16(ushort* to, Simd16 values)
    {
        var rounded = BFloat16.RoundBits(values._values.AsUInt32());
        Avx512F.ConvertToVector256UInt16(rounded).Store(to);
    }

    [MethodImpl(Inline)]
    public static Simd16 MultiplyAdd(Simd16 a, Simd16 b, Simd16 c) => new(Vector512.FusedMultiplyAdd(a._values, b._values, c._values));

    [MethodImpl(Inline)]
    public static Simd16 Min(Simd16 a, Simd16 b) => new(Vector512.MinNative(a._values, b._values));

    [MethodImpl(Inline)]
    public static Simd16 Max(Simd16 a, Simd16 b) => new(Vector512.MaxNative(a._values, b._values));

    [MethodImpl(Inline)]
    public static float Sum(Simd16 values) => Vector512.Sum(values._values);

    [MethodImpl(Inline)]
    public static float Maximum(Simd16 values) => Simd8.Maximum(new Simd8(Vector256.MaxNative(values._values.GetLower(), values._values.GetUpper())));

    [MethodImpl(Inline)]
    public static Simd16 PowerOfTwo(Simd16 exponents) => new(((exponents._values.AsInt32() << 23) + Vector512<float>.One.AsInt32()).AsSingle());

    [MethodImpl(Inline)]
    public static Simd16 SwapPairs(Simd16 values) => new(Avx512F.Permute4x32(values._values, 0b10_11_00_01));

    [MethodImpl(Inline)]
    public static Simd16 Factors(in DropMask mask, uint element) => new(Vector512.Create(mask.Factors(element), mask.Factors(element + 8)));

    [MethodImpl(Inline)]
    public static Simd16 operator +(Simd16 a, Simd16 b) => new(a._values + b._values);

    [MethodImpl(Inline)]
    public static Simd16 operator -(Simd16 a, Simd16 b) => new(a._values - b._values);

    [MethodImpl(Inline)]
    public static Simd16 operator *(Simd16 a, Simd16 b) => new(a._values * b._values);

    [MethodImpl(Inline)]
    public static Simd16 operator /(Simd16 a, Simd16 b) => new(a._values / b._values);

    [MethodImpl(Inline)]
    public static Simd16 operator -(Simd16 a) => new(-a._values);
}
