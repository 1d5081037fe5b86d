using CsCheck;
using NextPatch.Torch.Tokenizer;
using static TorchSharp.torch;

namespace NextPatch.Torch.Tests.Tokenizer;

[NoTensorLeaks]
public sealed class ImageTensorsTests
{
    [Fact]
    public void Bytes_survive_the_way_there_and_back()
        => Gen.Byte.Array[2 * 4 * 4 * 3].Sample(
            pixels =>
            {
                using var images = ImageTensors.FromPixels(pixels, 4);
                return ImageTensors.ToPixels(images).SequenceEqual(pixels);
            },
            iter: 50,
            threads: 1);

    [Fact]
    public void Channels_become_planes_in_the_range_minus_one_to_one()
    {
        using var images = ImageTensors.FromPixels([0, 127, 255, 255, 0, 0, 0, 255, 0, 0, 0, 255], 2);
        Assert.Equal([1, 3, 2, 2], images.shape);
        Assert.Equal([-1, 1, -1, -1, (127 / 127.5f) - 1, -1, 1, -1, 1, -1, -1, 1], images.data<float>().ToArray());
    }

    [Theory]
    [InlineData(-1.5f, 0)]
    [InlineData(-1f, 0)]
    [InlineData(0f, 128)]
    [InlineData(0.0039f, 128)]
    [InlineData(0.008f, 129)]
    [InlineData(1f, 255)]
    [InlineData(7f, 255)]
    public void Floats_become_bytes_by_the_published_rule(float value, byte expected)
    {
        using var image = full([1, 3, 1, 1], value);
        Assert.Equal([expected, expected, expected], ImageTensors.ToPixels(image));
    }

    [Fact]
    public void Gather_takes_images_in_the_order_asked_for()
    {
        var pixels = Enumerable.Range(0, 3 * 12).Select(i => (byte)i).ToArray();
        using var images = ImageTensors.Gather(pixels, 2, [2, 0, 2]);
        Assert.Equal([.. pixels[24..], .. pixels[..12], .. pixels[24..]], ImageTensors.ToPixels(images));
    }

    [Fact]
    public void A_partial_image_is_refused()
        => Assert.Contains(
            "13 bytes are not a whole number of 2x2 RGB images",
            Assert.Throws<ArgumentException>(() => ImageTensors.FromPixels(new byte[13], 2)).Message, StringComparison.Ordinal);
}
