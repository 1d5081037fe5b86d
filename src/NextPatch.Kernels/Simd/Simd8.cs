using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using NextPatch.Core.Tensors;

namespace NextPatch.Kernels.Simd;

/// <summary>Eight floats in 256 bits.</summary>
internal readonly unsafe struct Simd8(Vector256<float> values) : ISimd<Simd8>
{
    /// <summary>The compiler would call some of these, through memory.</summary>
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    private readonly Vector256<float> _values = values;

    public static int Count => 8;

    [MethodImpl(Inline)]
    public static Simd8 Create(float value) => new(Vector256.Create(value));

    [MethodImpl(Inline)]
    public static Simd8 Load(float* from) => new(Vector256.Load(from));

    [MethodImpl(Inline)]
    public static void Store(float* to, Simd8 values) => values._values.Store(to);

    [MethodImpl(Inline)]
    public static Simd8 LoadBFloat16(ushort* from)
    {
        if (Avx2.IsSupported)
        {
            return new((Avx2.ConvertToVector256Int32(from) << 16).AsSingle());
        }

        var (low, high) = Vector128.Widen(Vector128.Load(from));
        return new((Vector256.Create(low, high) << 16).AsSingle());
    }

    [MethodImpl(Inline)]
    public static Simd8 LoadPairs(sbyte* from)
    {
        if (Avx2.IsSupported)
        {
            return new(Avx2.ConvertToVector256Int16(from).AsSingle());
        }

        var (low, high) = Vector128.Widen(Vector128.Load(from));
        return new(Vector256.Create(low, high).AsSingle());
    }

    [MethodImpl(Inline)]
    public static Simd8 MultiplyAddPairs(Simd8 a, Simd8 b, Simd8 c)
    {
        if (Avx2.IsSupported)
        {
            return new((Avx2.MultiplyAddAdjacent(a._values.AsInt16(), b._values.AsInt16()) + c._values.AsInt32()).AsSingle());
        }

        var (x, y) = (a._values.AsInt32(), b._values.AsInt32());
        return new((c._values.AsInt32() + (((x << 16) >> 16) * ((y << 16) >> 16)) + ((x >> 16) * (y >> 16))).AsSingle());
    }

    [MethodImpl(Inline)]
    public static Simd8 FromWhole(Simd8 values) => new(Vector256.ConvertToSingle(values._values.AsInt32()));

    [MethodImpl(Inline)]
    public static void StoreLowHalves(short* to, Simd8 values)
        => Vector128.Narrow(values._values.GetLower().AsInt32(), values._values.GetUpper().AsInt32()).Store(to);

    [MethodImpl(Inline)]
    public static void StoreBFloat16(ushort* to, Simd8 values)
    {
        var rounded = BFloat16.RoundBits(values._values.AsUInt32());
        Vector128.Narrow(rounded.GetLower(), rounded.GetUpper()).Store(to);
    }

    [MethodImpl(Inline)]
    public static Simd8 MultiplyAdd(Simd8 a, Simd8 b, Simd8 c) => new(Vector256.FusedMultiplyAdd(a._values, b._values, c._values));

    [MethodImpl(Inline)]
    public static Simd8 Min(Simd8 a, Simd8 b) => new(Vector256.MinNative(a._values, b._values));

    [MethodImpl(Inline)]
    public static Simd8 Max(Simd8 a, Simd8 b) => new(Vector256.MaxNative(a._values, b._values));

    [MethodImpl(Inline)]
    public static float Sum(Simd8 values) => Vector256.Sum(values._values);

    [MethodImpl(Inline)]
    public static float Maximum(Simd8 values)
    {
        var quads = Vector128.MaxNative(values._values.GetLower(), values._values.GetUpper());
        var pairs = Vector128.MaxNative(quads, Vector128.Shuffle(quads, Vector128.Create(2, 3, 0, 1)));
        return MathF.Max(pairs[0], pairs[1]);
    }

    [MethodImpl(Inline)]
    public static Simd8 PowerOfTwo(Simd8 exponents) => new(((exponents._values.AsInt32() << 23) + Vector256<float>.One.AsInt32()).AsSingle());

    [MethodImpl(Inline)]
    public static Simd8 SwapPairs(Simd8 values) => new(Vector256.Shuffle(values._values, Vector256.Create(1, 0, 3, 2, 5, 4, 7, 6)));

    [MethodImpl(Inline)]
    public static Simd8 Factors(in DropMask mask, uint element) => new(mask.Factors(element));

    [MethodImpl(Inline)]
    public static Simd8 operator +(Simd8 a, Simd8 b) => new(a._values + b._values);

    [MethodImpl(Inline)]
    public static Simd8 operator -(Simd8 a, Simd8 b) => new(a._values - b._values);

    [MethodImpl(Inline)]
    public static Simd8 operator *(Simd8 a, Simd8 b) => new(a._values * b._values);

    [MethodImpl(Inline)]
    public static Simd8 operator /(Simd8 a, Simd8 b) => new(a._values / b._values);

    [MethodImpl(Inline)]
    public static Simd8 operator -(Simd8 a) => new(-a._values);
}
