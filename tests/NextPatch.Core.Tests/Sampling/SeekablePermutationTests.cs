using CsCheck;
using NextPatch.Core.Sampling;

namespace NextPatch.Core.Tests.Sampling;

public sealed class SeekablePermutationTests
{
    [Fact]
    public void It_is_a_permutation_of_every_size()
        => Gen.Select(Gen.Int[1, 500], Gen.ULong, Gen.Long[0, 1000]).Sample((count, seed, epoch) =>
        {
            var permutation = new SeekablePermutation(count, seed, epoch);
            return Enumerable.Range(0, count).Select(i => permutation[i]).Order().SequenceEqual(Enumerable.Range(0, count).Select(i => (long)i));
        });

    [Fact]
    public void Epochs_and_seeds_have_orders_of_their_own()
    {
        var orders = from seed in new ulong[] { 0, 1 }
                     from epoch in new[] { 0, 1 }
                     select string.Join(",", Enumerable.Range(0, 100).Select(i => new SeekablePermutation(100, seed, epoch)[i]));
        Assert.Equal(4, orders.Distinct().Count());
    }

    /// <summary>Hundreds of epochs, also far apart: none repeats another.</summary>
    [Fact]
    public void No_epoch_repeats_another()
    {
        long[] epochs = [.. Enumerable.Range(0, 300), 1 << 20, int.MaxValue];
        Assert.Equal(
            epochs.Length, epochs.Select(
                epoch => string.Join(",", Enumerable.Range(0, 30).Select(i => new SeekablePermutation(30, 7, epoch)[i]))).Distinct().Count());
    }

    [Fact]
    public void Places_are_evenly_filled()
    {
        // Where element 0 lands over 6,400 epochs of 16: chi-square with 15 degrees of freedom, 1e-4 tail = 44.3.
        var counts = new int[16];
        for (var epoch = 0; epoch < 6400; epoch++)
        {
            counts[(int)new SeekablePermutation(16, 3, epoch)[0]]++;
        }

        Assert.True(counts.Sum(c => Math.Pow(c - 400, 2) / 400) < 44.3, string.Join(",", counts));
    }
}
