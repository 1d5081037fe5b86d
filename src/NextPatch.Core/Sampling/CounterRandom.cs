using System.Runtime.CompilerServices;

namespace NextPatch.Core.Sampling;

/// <summary>
/// Random numbers that are a pure function of (seed, stream, index, position): the same wherever, whenever and in whatever
/// order they are asked for. Philox 4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011).
/// </summary>
/// <remarks>Nothing to save at a checkpoint and nothing shared between images: that is what makes resume exact and image k
/// independent of the batch it was generated in.</remarks>
internal readonly struct CounterRandom
{
    private readonly ulong _seed;
    private readonly uint _stream;

    /// <param name="seed">The run's or request's seed.</param>
    /// <param name="stream">What the numbers are for, so that two uses of one seed never share numbers.</param>
    public CounterRandom(ulong seed, RandomStream stream)
    {
        _seed = seed;
        _stream = (uint)stream;
    }

    /// <summary>64 random bits for element <paramref name="position"/> of item <paramref name="index"/>.</summary>
    public ulong Bits(long index, int position)
    {
        var (a, b, _, _) = Philox((uint)position, (uint)index, (uint)((ulong)index >> 32), _stream, (uint)_seed, (uint)(_seed >> 32));
        return ((ulong)b << 32) | a;
    }

    /// <summary>Uniform in [0, 1) with 53 random bits.</summary>
    public double Uniform(long index, int position) => (Bits(index, position) >> 11) * (1.0 / (1UL << 53));

    /// <summary>Uniform integer in [0, <paramref name="bound"/>); the bias is below bound / 2^64.</summary>
    public int Below(int bound, long index, int position)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bound);
        return (int)Math.BigMul(Bits(index, position), (ulong)bound, out _);
    }

    /// <summary>Philox 4x32 with 10 rounds on one counter block.</summary>
    internal static (uint C0, uint C1, uint C2, uint C3) Philox(uint c0, uint c1, uint c2, uint c3, uint k0, uint k1)
    {
        for (var round = 0; round < 10; round++)
        {
            (c0, c1, c2, c3) = Round(c0, c1, c2, c3, k0, k1);
            k0 += 0x9E3779B9;
            k1 += 0xBB67AE85;
        }

        return (c0, c1, c2, c3);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static (uint C0, uint C1, uint C2, uint C3) Round(uint c0, uint c1, uint c2, uint c3, uint k0, uint k1)
    {
        var low = (ulong)c0 * 0xD2511F53;
        var high = (ulong)c2 * 0xCD9E8D57;
        return ((uint)(high >> 32) ^ c1 ^ k0, (uint)high, (uint)(low >> 32) ^ c3 ^ k1, (uint)low);
    }
}
