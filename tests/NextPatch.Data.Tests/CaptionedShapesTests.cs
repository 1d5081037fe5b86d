using NextPatch.Data.Sources;

namespace NextPatch.Data.Tests;

public sealed class CaptionedShapesTests(ITestOutputHelper output)
{
    /// <summary>The measurement reads what was drawn: without it no figure of drawn images means anything.</summary>
    [Fact]
    public void What_was_drawn_is_measured()
    {
        var (seen, unseen) = CaptionedShapes.Split(1);
        var drawn = CaptionedShapes.Draw(1, [.. seen, .. unseen], inTurn: true, 0, 2 * CaptionedShapes.CombinationCount);

        var wrong = new int[4];
        var confused = new SortedDictionary<string, int>();
        for (var i = 0; i < drawn.Traits.Length; i++)
        {
            var (expected, actual) = (drawn.Traits[i], ShapeReader.Read(drawn.Images.Image(i), 32));
            wrong[0] += actual?.Shape == expected.Shape ? 0 : 1;
            wrong[1] += actual?.Colour == expected.Colour ? 0 : 1;
            wrong[2] += actual?.Size == expected.Size ? 0 : 1;
            wrong[3] += actual?.Place == expected.Place ? 0 : 1;
            if (actual?.Shape != expected.Shape || actual?.Size != expected.Size)
            {
                var key = $"{expected.Shape}{expected.Size}->{actual?.Shape}{actual?.Size}";
                confused[key] = confused.GetValueOrDefault(key) + 1;
            }
        }

        output.WriteLine($"{string.Join(" ", wrong)} of {drawn.Traits.Length}: {string.Join(", ", confused.Select(c => $"{c.Key} {c.Value}"))}");
        Assert.All(wrong, count => Assert.Equal(0, count));
    }
}
