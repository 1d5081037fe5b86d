using System.Runtime.Intrinsics;

namespace NextPatch.Kernels.Simd;

/// <summary>
/// Dropout as a pure function of (seed, element): the backward pass asks again instead of keeping a mask, and nothing depends on the
/// number of threads. Integer hash with two rounds of "lowbias32" (Wellons, 2018), the second half of the seed between them.
/// </summary>
internal readonly struct DropMask
{
    private readonly uint _first;
    private readonly uint _second;
    private readonly uint _dropBelow;
    private readonly float _scale;
    private readonly uint _start;

    /// <param name="probability">Share of elements that become 0; the others are divided by 1 - it.</param>
    /// <param name="seed">64 random bits.</param>
    /// <param name="start">Elements before the first one that is asked for: another process drops those.</param>
    public DropMask(double probability, ulong seed, uint start = 0)
    {
        _start = start;
        (_first, _second) = ((uint)seed, (uint)(seed >> 32));
        _dropBelow = (uint)(probability * uint.MaxValue);
        _scale = (float)(1 / (1 - probability));
    }

    /// <summary>Whether anything is dropped.</summary>
    public bool IsActive => _dropBelow > 0;

    /// <summary>What an element is hashed with, for who computes the same elsewhere: elements before the first, halves of the seed, the limit below
    /// which a hash drops, and the factor of what stays.</summary>
    public (uint Start, uint First, uint Second, uint DropBelow, float Scale) Terms => (_start, _first, _second, _dropBelow, _scale);

    /// <summary>0 or 1 / (1 - probability) for an element.</summary>
    public float Factor(uint element)
    {
        var h = (element + _start) ^ _first;
        h = (h ^ (h >> 16)) * 0x7FEB352D;
        h = (h ^ (h >> 15)) * 0x846CA68B;
        h = (h ^ (h >> 16)) + _second;
        h = (h ^ (h >> 16)) * 0x7FEB352D;
        h = (h ^ (h >> 15)) * 0x846CA68B;
        return (h ^ (h >> 16)) >= _dropBelow ? _scale : 0;
    }

    /// <summary>The factors of eight elements from <paramref name="element"/> on.</summary>
    public Vector256<float> Factors(uint element)
    {
        var h = (Vector256.Create(element + _start) + Vector256<uint>.Indices) ^ Vector256.Create(_first);
        h = (h ^ (h >> 16)) * 0x7FEB352Du;
        h = (h ^ (h >> 15)) * 0x846CA68Bu;
        h = (h ^ (h >> 16)) + Vector256.Create(_second);
        h = (h ^ (h >> 16)) * 0x7FEB352Du;
        h = (h ^ (h >> 15)) * 0x846CA68Bu;
        var kept = Vector256.GreaterThanOrEqual(h ^ (h >> 16), Vector256.Create(_dropBelow));
        return Vector256.Create(_scale) & kept.AsSingle();
    }
}
