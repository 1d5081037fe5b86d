using NextPatch.Core;
using NextPatch.Evaluation.Protocol;

namespace NextPatch.Evaluation.Tests.Protocol;

public sealed class GreyCheckTests
{
    private static readonly FeatureOrigin Origin = new("net", "abcd", "none", 2, 2, IsGrey: null);

    [Theory]
    [InlineData(true, false, "Every sample is grey")]
    [InlineData(false, true, "Every reference image is grey")]
    public void Grey_against_colour_is_refused_before_the_work(bool isSampleGrey, bool isReferenceGrey, string message)
    {
        using var folder = new TemporaryFolder();
        using var samples = Images(folder, "samples.npz", isSampleGrey);
        using var reference = Images(folder, "reference.npz", isReferenceGrey);

        var error = Assert.Throws<ConfigException>(() => GreyCheck.Require(Origin, samples, reference, null, default));

        Assert.Contains(message, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void One_colour_at_the_end_of_grey_images_makes_them_colours()
    {
        using var folder = new TemporaryFolder();
        using var samples = Images(folder, "samples.npz", isGrey: true, lastHasColour: true);
        using var reference = Images(folder, "reference.npz", isGrey: false);

        GreyCheck.Require(Origin, samples, reference, null, default);
        GreyCheck.Require(Origin, samples, null, isReferenceGrey: false, default);
    }

    [Fact]
    public void What_statistics_say_of_their_images_counts()
    {
        using var folder = new TemporaryFolder();
        using var samples = Images(folder, "samples.npz", isGrey: true);

        GreyCheck.Require(Origin, samples, null, isReferenceGrey: null, default);
        GreyCheck.Require(Origin, samples, null, isReferenceGrey: true, default);
        Assert.Throws<ConfigException>(() => GreyCheck.Require(Origin, samples, null, isReferenceGrey: false, default));
    }

    private static ArrayImageSet Images(TemporaryFolder folder, string name, bool isGrey, bool lastHasColour = false)
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
