using System.Numerics;
using CsCheck;
using NextPatch.Core.Imaging;

namespace NextPatch.Core.Tests.Imaging;

public sealed class PillowResizeTests
{
    private static readonly Gen<(RgbImage Image, int Width, int Height, ResampleFilter Filter)> Cases =
        from width in Gen.Int[1, 90]
        from height in Gen.Int[1, 90]
        from toWidth in Gen.Int[1, 90]
        from toHeight in Gen.Int[1, 90]
        from filter in Gen.Enum<ResampleFilter>()
        from pixels in Gen.OneOf(Gen.Byte, Gen.Const(byte.MinValue), Gen.Const(byte.MaxValue)).Array[width * height * 3]
        select (new RgbImage(width, height, pixels), toWidth, toHeight, filter);

    [Fact]
    public void Vectors_give_the_bytes_of_the_plain_sum()
        => (from length in Gen.Int[1, 5 * Vector<byte>.Count]
            from rows in Gen.Byte.Array[length * 7]
            from weights in Gen.Int[-(1 << 20), 1 << 20].Array[1, 7]
            select (length, rows, weights)).Sample(c =>
            {
                var (fast, plain) = (new byte[c.length], new byte[c.length]);
                WeightedRows.Sum(c.rows, c.length, c.weights, fast);
                WeightedRows.SumReference(c.rows, c.length, c.weights, plain);
                return fast.AsSpan().SequenceEqual(plain);
            });

    [Fact]
    public void Strips_give_the_bytes_of_the_plain_passes()
        => Cases.Sample(c => PillowResize.Resize(c.Image, c.Width, c.Height, c.Filter).Pixels.AsSpan()
            .SequenceEqual(PillowResize.ResizeReference(c.Image, c.Width, c.Height, c.Filter).Pixels), iter: 300);

    [Fact]
    public void Window_is_a_part_of_the_whole()
        => (from c in Cases
            from left in Gen.Int[0, c.Width - 1]
            from top in Gen.Int[0, c.Height - 1]
            from width in Gen.Int[1, c.Width - left]
            from height in Gen.Int[1, c.Height - top]
            select (c, left, top, width, height)).Sample(t =>
            {
                var whole = PillowResize.ResizeReference(t.c.Image, t.c.Width, t.c.Height, t.c.Filter);
                var window = PillowResize.ResizeWindow(t.c.Image, t.c.Width, t.c.Height, t.c.Filter, t.left, t.top, t.width, t.height);
                return window.Pixels.AsSpan().SequenceEqual(ImageCrops.Cut(whole, t.left, t.top, t.width, t.height).Pixels);
            }, iter: 300);

    [Fact]
    public void Box_halves_by_rounded_means()
    {
        var image = new RgbImage(4, 1, [0, 10, 255, 1, 20, 255, 3, 0, 0, 4, 1, 255]);
        Assert.Equal([1, 15, 255, 4, 1, 128], PillowResize.Resize(image, 2, 1, ResampleFilter.Box).Pixels);
    }

    [Fact]
    public void Flat_image_stays_flat_and_the_size_may_be_kept()
    {
        var image = new RgbImage(37, 21);
        image.Pixels.AsSpan().Fill(201);
        Assert.All(PillowResize.Resize(image, 11, 50, ResampleFilter.Bicubic).Pixels, p => Assert.Equal(201, p));
        image.Pixels[5] = 3;
        var copy = PillowResize.Resize(image, 37, 21, ResampleFilter.Bicubic);
        Assert.Equal(image.Pixels, copy.Pixels);
        Assert.NotSame(image.Pixels, copy.Pixels);
    }

    [Fact]
    public void Size_below_one_is_refused()
        => Assert.Throws<ArgumentOutOfRangeException>(() => PillowResize.Resize(new RgbImage(2, 2), 0, 2, ResampleFilter.Box));
}
