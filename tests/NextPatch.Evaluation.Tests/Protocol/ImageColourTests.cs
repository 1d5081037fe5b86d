using NextPatch.Evaluation.Protocol;

namespace NextPatch.Evaluation.Tests.Protocol;

public sealed class ImageColourTests
{
    [Theory]
    [InlineData(true, false, true)]
    [InlineData(false, false, false)]
    [InlineData(true, true, false)] // one colour at the very end makes them colours
    public void Stored_images_are_looked_at_before_the_work(bool isGrey, bool lastHasColour, bool expected)
    {
        using var folder = new TemporaryFolder();
        using var images = Images(folder, "images.npz", isGrey, lastHasColour);
        Assert.Equal(expected, images.LookForColour(default));
    }

    private static ArrayImageSet Images(TemporaryFolder folder, string name, bool isGrey, bool lastHasColour)
    {
        const int count = 200;
        var pixels = new byte[count * 2 * 2 * 3];
        for (var i = 0; i < pixels.Length; i++)
        {
            pixels[i] = (byte)(isGrey ? i / 3 : i * 7);
        }

        pixels[^1] ^= (byte)(lastHasColour ? 1 : 0);
        using (var archive = new NextPatch.Core.Checkpoints.Numpy.NpzWriter(folder[name]))
        using (var array = archive.BeginArray("arr_0", NextPatch.Core.Tensors.ElementType.UInt8, [count, 2, 2, 3]))
        {
            array.Write(pixels);
        }

        return ArrayImageSet.Open(folder[name]);
    }
}
