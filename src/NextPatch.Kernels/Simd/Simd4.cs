using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace NextPatch.Kernels.Simd;

/// <summary>Four floats in 128 bits: Arm, and x64 without AVX2.</summary>
internal readonly unsafe struct Simd4(Vector128<float> values) : ISimd<Simd4>
{
    /// <summary>The compiler would call some of these, through memory.</summary>
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    private readonly Vector128<float> _values = values;

    public static int Count => 4;

    [MethodImpl(Inline)]
    public static Simd4 Create(float value) => new(Vector128.Create(value));

    [MethodImpl(Inline)]
    public static Simd4 Load(float* from) => new(Vector128.Load(from));

    [MethodImpl(Inline)]
    public static void Store(float* to, Simd4 values) => values._values.Store(to);

    [MethodImpl(Inline)]
    public static Simd4 LoadBFloat16(ushort* from)
        => new((Vector128.WidenLower(Vector128.CreateScalarUnsafe(*(ulong*)from).AsUInt16()) << 16).AsSingle());

    [MethodImpl(Inline)]
    public static Simd4 LoadPairs(sbyte* from) => new(Vector128.WidenLower(Vector128.CreateScalarUnsafe(*(long*)from).AsSByte()).AsSingle());

    [MethodImpl(Inline)]
    public static Simd4 MultiplyAddPairs(Simd4 a, Simd4 b, Simd4 c)
    {
        if (Sse2.IsSupported)
        {
            return new((Sse2.MultiplyAddAdjacent(a._values.AsInt16(), b._values.AsInt16()) + c._values.AsInt32()).AsSingle());
        }

        var (x, y) = (a._values.AsInt32(), b._values.AsInt32());
        return new((c._values.AsInt32() + (((x << 16) >> 16) * ((y << 16) >> 16)) + ((x >> 16) * (y >> 16))).AsSingle());
    }

    [MethodImpl(Inline)]
    public static Simd4 FromWhole(Simd4 values) => new(Vector128.ConvertToSingle(values._values.AsInt32()));

    [MethodImpl(Inline)]
    public static void StoreLowHalves(short* to, Simd4 values)
        => *(long*)to = Vector128.Narrow(values._values.AsInt32(), values._values.AsInt32()).AsInt64().ToScalar();

    [MethodImpl(Inline)]
    public static void StoreBFloat16(ushort* to, Simd4 values)
    {
        var bits = values._values.AsUInt32();
        var rounded = (bits + Vector128.Create(0x7FFFu) + ((bits >> 16) & Vector128<uint>.One)) >> 16;
        *(ulong*)to = Vector128.Narrow(rounded, rounded).AsUInt64().ToScalar();
    }

    /// <remarks>Rounded twice on x64 without FMA, where one rounding would be a call per float.</remarks>
    [MethodImpl(Inline)]
    public static Simd4 MultiplyAdd(Simd4 a, Simd4 b, Simd4 c) => new(Vector128.MultiplyAddEstimate(a._values, b._values, c._values));

    [MethodImpl(Inline)]
    public static Simd4 Min(Simd4 a, Simd4 b) => new(Vector128.MinNative(a._values, b._values));

    [MethodImpl(Inline)]
    public static Simd4 Max(Simd4 a, Simd4 b) => new(Vector128.MaxNative(a._values, b._values));

    [MethodImpl(Inline)]
    public static float Sum(Simd4 values) => Vector128.Sum(values._values);

    [MethodImpl(Inline)]
    public static float Maximum(Simd4 values)
    {
        var pairs = Vector128.MaxNative(values._values, Vector128.Shuffle(values._values, Vector128.Create(2, 3, 0, 1)));
        return MathF.Max(pairs[0], pairs[1]);
    }

    [MethodImpl(Inline)]
    public static Simd4 PowerOfTwo(Simd4 exponents) => new(((exponents._values.AsInt32() << 23) + Vector128<float>.One.AsInt32()).AsSingle());

    [MethodImpl(Inline)]
    public static Simd4 SwapPairs(Simd4 values) => new(Vector128.Shuffle(values._values, Vector128.Create(1, 0, 3, 2)));

    [MethodImpl(Inline)]
    public static Simd4 Factors(in DropMask mask, uint element) => new(mask.Factors(element).GetLower());

    [MethodImpl(Inline)]
    public static Simd4 operator +(Simd4 a, Simd4 b) => new(a._values + b._values);

    [MethodImpl(Inline)]
    public static Simd4 operator -(Simd4 a, Simd4 b) => new(a._values - b._values);

    [MethodImpl(Inline)]
    public static Simd4 operator *(Simd4 a, Simd4 b) => new(a._values * b._values);

    [MethodImpl(Inline)]
    public static Simd4 operator /(Simd4 a, Simd4 b) => new(a._values / b._values);

    [MethodImpl(Inline)]
    public static Simd4 operator -(Simd4 a) => new(-a._values);
}
