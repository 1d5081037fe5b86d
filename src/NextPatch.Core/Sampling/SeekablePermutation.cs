namespace NextPatch.Core.Sampling;

/// <summary>
/// A pseudo-random permutation of 0 .. n - 1 whose k-th element is computed in O(1): the order of the training data at any
/// step without replaying the ones before. A balanced Feistel network over the next even number of bits, walked until the
/// value falls below n (cycle walking, at most four rounds of it on average).
/// </summary>
internal readonly struct SeekablePermutation
{
    private const int Rounds = 6;
    private readonly CounterRandom _random;
    private readonly long _epoch;
    private readonly int _halfBits;

    /// <param name="count">Number of elements n.</param>
    /// <param name="seed">The run's seed.</param>
    /// <param name="epoch">Every epoch has its own order.</param>
    public SeekablePermutation(long count, ulong seed, long epoch)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
        Count = count;
        _epoch = epoch;
        _random = new CounterRandom(seed, RandomStream.DataOrder);
        var bits = 1;
        while (1L << bits < count)
        {
            bits++;
        }

        _halfBits = (bits + 1) / 2;
    }

    public long Count { get; }

    /// <summary>The element at position <paramref name="index"/>, 0 .. n - 1.</summary>
    public long this[long index]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((ulong)index, (ulong)Count);
            do
            {
                index = Encrypt(index);
            }
            while (index >= Count);
            return index;
        }
    }

    private long Encrypt(long value)
    {
        var mask = (1L << _halfBits) - 1;
        var (left, right) = (value >> _halfBits, value & mask);
        for (var round = 0; round < Rounds; round++)
        {
            var f = (long)_random.Bits((_epoch << 32) | right, round) & mask;
            (left, right) = (right, left ^ f);
        }

        return (left << _halfBits) | right;
    }
}
