using CsCheck;
using NextPatch.Core.Sampling;

namespace NextPatch.Core.Tests.Sampling;

public sealed class CounterRandomTests
{
    /// <summary>Known answers of Random123's kat_vectors for philox4x32-10.</summary>
    [Theory]
    [InlineData(0u, 0u, 0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u)]
    [InlineData(0xffffffffu, 0xffffffffu, 0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu)]
    public void Philox_gives_the_published_known_answers(uint counter, uint key, uint c0, uint c1, uint c2, uint c3)
        => Assert.Equal((c0, c1, c2, c3), CounterRandom.Philox(counter, counter, counter, counter, key, key));

    /// <summary>Seeds of finished runs and samples mean these bits.</summary>
    [Fact]
    public void Bits_are_the_first_two_words_the_second_above_the_first()
        => Gen.Select(Gen.ULong, Gen.Long[0, long.MaxValue], Gen.Int[0, 4096]).Sample((seed, index, position) =>
        {
            var (a, b, _, _) = CounterRandom.Philox(
                (uint)position, (uint)index, (uint)(index >> 32), (uint)RandomStream.Codes, (uint)seed, (uint)(seed >> 32));
            var random = new CounterRandom(seed, RandomStream.Codes);
            Assert.Equal(((ulong)b << 32) + a, random.Bits(index, position));
            Assert.Equal((((ulong)b << 21) + (a >> 11)) / 9007199254740992.0, random.Uniform(index, position));
        });

    [Fact]
    public void Uniform_stays_in_range_and_is_flat()
    {
        var random = new CounterRandom(1, RandomStream.Codes);
        var counts = new int[10];
        for (var i = 0; i < 100_000; i++)
        {
            var u = random.Uniform(i, i % 7);
            Assert.InRange(u, 0.0, 1.0 - 1e-16);
            counts[(int)(u * 10)]++;
        }

        // Chi-square with 9 degrees of freedom: 33.7 is the 1e-4 tail.
        Assert.True(counts.Sum(c => Math.Pow(c - 10_000, 2) / 10_000) < 33.7);
    }

    [Fact]
    public void Streams_and_seeds_do_not_share_numbers()
        => Gen.Select(Gen.ULong, Gen.Long[0, long.MaxValue], Gen.Int[0, 4096]).Sample((seed, index, position) =>
            new CounterRandom(seed, RandomStream.Codes).Bits(index, position) != new CounterRandom(seed, RandomStream.DataOrder).Bits(index, position)
            && new CounterRandom(seed, RandomStream.Codes).Bits(index, position) != new CounterRandom(seed + 1, RandomStream.Codes).Bits(index,
                position));

    [Fact]
    public void Below_covers_every_value()
    {
        var random = new CounterRandom(5, RandomStream.Labels);
        Assert.Equal(Enumerable.Range(0, 7), Enumerable.Range(0, 500).Select(i => random.Below(7, i, 0)).Distinct().Order());
    }
}
