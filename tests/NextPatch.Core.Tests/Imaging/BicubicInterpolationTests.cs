using NextPatch.Core.Imaging;

namespace NextPatch.Core.Tests.Imaging;

public sealed class BicubicInterpolationTests
{
    [Fact]
    public void Doubling_a_row_gives_the_weights_of_cubic_convolution()
    {
        // Output pixels lie at -0.25 and 0.25 from the source's; a = -0.75, t = 0.25: -0.10546875, 0.87890625, 0.26171875, -0.03515625.
        var result = BicubicInterpolation.Resize([0, 0, 1, 0, 0], 1, 5, 1, 10);
        float[] expected = [0, -0.03515625f, -0.10546875f, 0.26171875f, 0.87890625f, 0.87890625f, 0.26171875f, -0.10546875f, -0.03515625f, 0];
        Assert.Equal(expected, result, (a, b) => MathF.Abs(a - b) < 1e-6f);
    }

    [Fact]
    public void Planes_are_resized_each_by_itself_and_flat_ones_stay_flat()
    {
        var planes = new float[2 * 6 * 4];
        planes.AsSpan(0, 24).Fill(0.25f);
        planes.AsSpan(24).Fill(-1);
        var result = BicubicInterpolation.Resize(planes, 6, 4, 3, 9);
        Assert.All(result[..27], v => Assert.Equal(0.25f, v, 1e-6f));
        Assert.All(result[27..], v => Assert.Equal(-1, v, 1e-6f));
    }

    [Fact]
    public void Same_size_changes_nothing()
    {
        float[] plane = [1, -2, 3, 0.5f, 7, 9];
        Assert.Equal(plane, BicubicInterpolation.Resize(plane, 2, 3, 2, 3));
    }

    [Fact]
    public void Half_a_plane_is_refused() => Assert.Throws<ArgumentException>(() => BicubicInterpolation.Resize(new float[7], 2, 3, 1, 1));
}
