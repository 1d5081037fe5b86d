using NextPatch.Core;
using NextPatch.Core.Imaging;
using NextPatch.Data.Sources;

namespace NextPatch.Data.Tests.Datasets;

public sealed class ImageStreamTests
{
    [Fact]
    public void Images_come_in_order_whatever_takes_longest()
    {
        using var source = new Numbered(40);
        var stream = new ImageStream(source, lookAhead: 7);
        var got = stream.Read((image, i) =>
        {
            Thread.Sleep(i % 5 == 0 ? 5 : 0);
            return image.Pixels[0];
        }, first: 3).ToArray();
        Assert.Equal(Enumerable.Range(3, 37), got.Select(g => g.Index));
        Assert.All(got, g => Assert.Equal((g.Index, g.Index % 3, $"n/{g.Index}"), (g.Value, g.Label, g.Path)));
        Assert.Equal((37, 37), (stream.ReadCount, source.Begun)); // none behind its end
    }

    [Fact]
    public void No_more_images_are_begun_than_the_look_ahead_allows()
    {
        using var source = new Numbered(200);
        foreach (var image in new ImageStream(source, lookAhead: 6).Read((image, _) => image))
        {
            Assert.InRange(source.Begun, 0, image.Index + 6);
        }
    }

    [Fact]
    public void Bad_images_are_skipped_and_counted_when_asked()
    {
        using var source = new Numbered(20, bad: [0, 7, 19]);
        var stream = new ImageStream(source, OnBadImage.Skip, lookAhead: 4);
        Assert.Equal(Enumerable.Range(0, 20).Except([0, 7, 19]), stream.Read((image, _) => image).Select(i => i.Index));
        Assert.Equal((17, 3), (stream.ReadCount, stream.SkippedCount));
        Assert.Equal(
            [new BadImage(0, "n/0", "'n/0' is bad"), new BadImage(7, "n/7", "'n/7' is bad"), new BadImage(19, "n/19", "'n/19' is bad")],
            stream.Skipped);
    }

    [Fact]
    public void Bad_image_stops_the_reading_after_all_before_it_came_out()
    {
        using var source = new Numbered(20, bad: [7]);
        var got = new List<int>();
        var error = Assert.Throws<DataFormatException>(() => got.AddRange(new ImageStream(source).Read((image, _) => image).Select(i => i.Index)));
        Assert.Equal("'n/7' is bad", error.Message);
        Assert.Equal(Enumerable.Range(0, 7), new ImageStream(source).Read((image, _) => image).Take(7).Select(i => i.Index));
    }

    [Fact]
    public void Defects_are_not_taken_for_bad_images()
    {
        using var source = new Numbered(5);
        Assert.Throws<InvalidOperationException>(
            () => new ImageStream(source, OnBadImage.Skip).Read<int>((_, _) => throw new InvalidOperationException()).Count());
    }

    [Fact]
    public void Reader_that_stops_early_leaves_nothing_running()
    {
        using var source = new Numbered(100, delay: 2);
        foreach (var image in new ImageStream(source, lookAhead: 16).Read((image, _) => image))
        {
            if (image.Index == 3)
            {
                break;
            }
        }

        Assert.Equal(source.Begun, source.Ended);
    }

    [Fact]
    public void Cancellation_stops_it()
    {
        using var source = new Numbered(1000, delay: 1);
        using var cancellation = new CancellationTokenSource();
        Assert.ThrowsAny<OperationCanceledException>(() =>
        {
            foreach (var image in new ImageStream(source).Read((image, _) => image, cancellationToken: cancellation.Token))
            {
                if (image.Index == 5)
                {
                    cancellation.Cancel();
                }
            }
        });
        Assert.InRange(source.Begun, 5, 100);
    }

    private sealed class Numbered : ImageSource
    {
        private readonly int[] _bad;
        private readonly int _delay;
        private int _begun;
        private int _ended;

        [System.Diagnostics.CodeAnalysis.SetsRequiredMembers]
        public Numbered(int count, int[]? bad = null, int delay = 0)
            => (Name, Layout, ClassNames, Count, _bad, _delay) = ("n", "numbers", ["a", "b", "c"], count, bad ?? [], delay);

        public override int Count { get; }

        public int Begun => Volatile.Read(ref _begun);

        public int Ended => Volatile.Read(ref _ended);

        public override int Label(int i) => i % 3;

        public override string PathOf(int i) => $"n/{i}";

        public override RgbImage Decode(int i)
        {
            Interlocked.Increment(ref _begun);
            try
            {
                Thread.Sleep(_delay);
                return _bad.Contains(i) ? throw new DataFormatException($"'{PathOf(i)}' is bad") : new RgbImage(1, 1, [(byte)i, 0, 0]);
            }
            finally
            {
                Interlocked.Increment(ref _ended);
            }
        }
    }
}
