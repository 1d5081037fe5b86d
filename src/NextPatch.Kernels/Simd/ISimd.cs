using System.Numerics;

namespace NextPatch.Kernels.Simd;

/// <summary>
/// Neighbouring floats that a kernel computes at once, as many as the processor's registers hold. A kernel is written once, for any number of lanes;
/// with one lane it is the reference, and computes what remains of a row that vectors do not divide.
/// </summary>
/// <typeparam name="L">The implementing type.</typeparam>
internal unsafe interface ISimd<L> : IAdditionOperators<L, L, L>, ISubtractionOperators<L, L, L>, IMultiplyOperators<L, L, L>, IDivisionOperators<L,
    L, L>, IUnaryNegationOperators<L, L>
    where L : unmanaged, ISimd<L>
{
    /// <summary>Number of floats.</summary>
    static abstract int Count { get; }

    /// <summary>The value in every lane.</summary>
    static abstract L Create(float value);

    static abstract L Load(float* from);

    static abstract void Store(float* to, L values);

    /// <summary>From bfloat16, the upper half of a float.</summary>
    static abstract L LoadBFloat16(ushort* from);

    /// <summary>Two whole numbers of eight bits for each lane, which then holds both in sixteen bits, the first one in its lower half.</summary>
    static abstract L LoadPairs(sbyte* from);

    /// <summary>The bits of c as a whole number, plus the products of both halves of a and b: exact while it fits 32 bits.</summary>
    static abstract L MultiplyAddPairs(L a, L b, L c);

    /// <summary>From the bits of whole numbers in 32 bits.</summary>
    static abstract L FromWhole(L values);

    /// <summary>The lower sixteen bits of each lane.</summary>
    static abstract void StoreLowHalves(short* to, L values);

    /// <summary>
    /// Rounds to nearest, ties to even, as libtorch. NaN stays NaN: those that arithmetic makes have a payload that rounding does not carry over.
    /// </summary>
    static abstract void StoreBFloat16(ushort* to, L values);

    /// <summary>a b + c, rounded once.</summary>
    static abstract L MultiplyAdd(L a, L b, L c);

    /// <summary>The smaller one; the second where either is NaN.</summary>
    static abstract L Min(L a, L b);

    /// <summary>The larger one; the second where either is NaN.</summary>
    static abstract L Max(L a, L b);

    static abstract float Sum(L values);

    /// <summary>The largest lane.</summary>
    static abstract float Maximum(L values);

    /// <summary>2^n as the bits of a float, from an n in the lowest bits of each lane.</summary>
    static abstract L PowerOfTwo(L exponents);

    /// <summary>Exchanges each pair of lanes; there must be more than one.</summary>
    static abstract L SwapPairs(L values);

    /// <summary>What dropout multiplies an element and its followers by.</summary>
    static abstract L Factors(in DropMask mask, uint element);
}
