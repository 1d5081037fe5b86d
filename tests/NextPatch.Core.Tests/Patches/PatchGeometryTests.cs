using CsCheck;
using NextPatch.Core.Patches;

namespace NextPatch.Core.Tests.Patches;

public sealed class PatchGeometryTests
{
    [Fact]
    public void Patches_visit_every_code_exactly_once()
        => Gen.Select(Gen.Int[1, 12], Gen.Int[1, 6]).Sample((patches, side) =>
        {
            var geometry = new PatchGeometry(patches * side, side);
            var visited = from patch in Enumerable.Range(0, geometry.PatchCount)
                          from member in Enumerable.Range(0, geometry.CodesPerPatch)
                          select geometry.CodeIndex(patch, member);
            return visited.Order().SequenceEqual(Enumerable.Range(0, patches * side * patches * side));
        });

    [Fact]
    public void Members_are_row_major_inside_row_major_patches()
    {
        var geometry = new PatchGeometry(4, 2);
        Assert.Equal([2, 3, 6, 7], Enumerable.Range(0, 4).Select(m => geometry.CodeIndex(1, m)));
        Assert.Equal([8, 9, 12, 13], Enumerable.Range(0, 4).Select(m => geometry.CodeIndex(2, m)));
    }

    [Fact]
    public void A_grid_that_does_not_divide_names_the_sides_that_do()
    {
        var error = Assert.Throws<ConfigException>(() => new PatchGeometry(16, 3));
        Assert.Contains("16x16", error.Message, StringComparison.Ordinal);
        Assert.Contains("1, 2, 4, 8, 16", error.Message, StringComparison.Ordinal);
    }
}
