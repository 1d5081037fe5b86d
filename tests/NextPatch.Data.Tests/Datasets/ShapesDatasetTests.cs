using CsCheck;
using NextPatch.Data.Sources;
using SkiaSharp;

namespace NextPatch.Data.Tests.Datasets;

public sealed class ShapesDatasetTests
{
    [Fact]
    public void Image_depends_on_seed_and_index_alone()
    {
        var few = ShapesDataset.Create(7, trainCount: 20, heldOutCount: 5);
        var many = ShapesDataset.Create(7, trainCount: 300, heldOutCount: 30);
        Assert.Equal(few.Train.Pixels, many.Train.Pixels[..few.Train.Pixels.Length]);
        Assert.Equal(few.HeldOut.Pixels, many.HeldOut.Pixels[..few.HeldOut.Pixels.Length]);
        Assert.NotEqual(few.Train.Pixels, ShapesDataset.Create(8, 20, 5).Train.Pixels);
    }

    [Fact]
    public void Held_out_images_are_not_training_images()
    {
        var split = ShapesDataset.Create(3, trainCount: 500, heldOutCount: 100);
        var seen = Enumerable.Range(0, split.Train.Count).Select(i => Convert.ToBase64String(split.Train.Image(i))).ToHashSet();
        Assert.Equal(500, seen.Count);
        Assert.DoesNotContain(Enumerable.Range(0, split.HeldOut.Count), i => seen.Contains(Convert.ToBase64String(split.HeldOut.Image(i))));
    }

    [Fact]
    public void Classes_are_balanced_and_named()
    {
        var train = ShapesDataset.Create(1, trainCount: 200, heldOutCount: 0).Train;
        Assert.Equal(10, train.ClassNames.Count);
        Assert.All(train.Labels.CountBy(l => l), c => Assert.Equal(20, c.Value));
        Assert.Equal("star", train.ClassNames[train.Labels[13]]);
    }

    [Fact]
    public void Default_ranges_keep_every_shape_inside_the_image()
    {
        var options = new ShapesOptions();
        Gen.Select(Gen.Int[0, 9], Gen.Float[(float)-options.Rotation, (float)options.Rotation]).Sample((label, angle) =>
        {
            using var path = ShapePaths.Create(label);
            using var turned = new SKPath(path);
            turned.Transform(SKMatrix.CreateRotation(angle));
            var bounds = turned.TightBounds;
            var extent = new[] { -bounds.Left, bounds.Right, -bounds.Top, bounds.Bottom }.Max();
            Assert.True((extent * options.MaxRadius) + options.PositionJitter < 16, $"{ShapesDataset.ClassNames[label]} reaches {extent}");
        });
    }

    [Fact]
    public void Larger_side_shows_the_same_picture()
    {
        var small = ShapesDataset.Create(5, trainCount: 30, heldOutCount: 0).Train;
        var large = ShapesDataset.Create(5, trainCount: 30, heldOutCount: 0, side: 64).Train;
        var difference = 0.0;
        for (var i = 0; i < small.Count; i++)
        {
            for (var y = 0; y < 32; y++)
            {
                for (var x = 0; x < 32; x++)
                {
                    var mean = (large.Image(i)[At(64, 2 * x, 2 * y)] + large.Image(i)[At(64, (2 * x) + 1, 2 * y)]
                        + large.Image(i)[At(64, 2 * x, (2 * y) + 1)] + large.Image(i)[At(64, (2 * x) + 1, (2 * y) + 1)]) / 4.0;
                    difference += Math.Abs(mean - small.Image(i)[At(32, x, y)]);
                }
            }
        }

        Assert.InRange(difference / (small.Count * 32 * 32), 0, 1);
    }

    private static int At(int side, int x, int y) => ((y * side) + x) * 3;
}
