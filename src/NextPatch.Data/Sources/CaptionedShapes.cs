using NextPatch.Core.Sampling;

namespace NextPatch.Data.Sources;

/// <summary>Images of one shape each that the program draws itself, with captions that name shape, colour, size, place and background.</summary>
internal static class CaptionedShapes
{
    // Places in an image's random stream.
    private const int Combination = 0;
    private const int Ground = 1;
    private const int Wording = 2;
    private const int OffsetX = 3;
    private const int OffsetY = 4;
    private const int Scale = 5;
    private const int Turn = 6;
    private const int Synonym = 7;

    /// <summary>Distance of the corners' shapes from the middle along each axis, in pixels of a 32-pixel image.</summary>
    /// <remarks>A multiple of the four pixels of a code: a shape then has the same codes at every place.</remarks>
    internal const double OffCentre = 8;

    private const double PositionJitter = 0.3;
    private const double RadiusJitter = 0.15;
    private const double Rotation = 0.04;

    /// <summary>Labels of <see cref="ShapePaths.All"/> that stay apart when they are small.</summary>
    public static IReadOnlyList<int> Shapes { get; } = [0, 1, 2, 3, 4, 5];

    public static IReadOnlyList<string> ShapeNames { get; } = [.. Shapes.Select(label => ShapePaths.All[label].Name)];

    public static IReadOnlyList<(string Name, uint Rgb)> Colours { get; } =
        [("red", 0xFF4D42), ("yellow", 0xFFD93D), ("green", 0x4CE070), ("blue", 0x45B8FF), ("pink", 0xF06CF0), ("white", 0xF4F4F4)];

    /// <summary>Each with two words, and the radius in pixels of a 32-pixel image.</summary>
    public static IReadOnlyList<(string[] Names, double Radius)> Sizes { get; } = [(["small", "little"], 5.5), (["large", "big"], 7.6)];

    /// <summary>With the centre's distance from the middle, in units of the distance of the corners' shapes.</summary>
    public static IReadOnlyList<(string Name, int X, int Y)> Places { get; } =
        [("top left", -1, -1), ("top right", 1, -1), ("bottom left", -1, 1), ("bottom right", 1, 1), ("centre", 0, 0)];

    public static IReadOnlyList<(string Name, (uint Top, uint Bottom) Rgb)> Backgrounds { get; } =
        [("navy", (0x0A1030, 0x24386E)), ("wine", (0x2C0A20, 0x5E2440)), ("black", (0x101010, 0x242424))];

    /// <summary>Number of combinations of shape, colour, size and place.</summary>
    public static int CombinationCount => Shapes.Count * Colours.Count * Sizes.Count * Places.Count;

    /// <summary>Combinations that are kept from training, one in five, chosen by the seed; the others.</summary>
    public static (int[] Seen, int[] Unseen) Split(ulong seed)
    {
        var order = new SeekablePermutation(CombinationCount, seed, 0);
        int[] all = [.. Enumerable.Range(0, CombinationCount).Select(k => (int)order[k])];
        return (all[(CombinationCount / 5)..], all[..(CombinationCount / 5)]);
    }

    /// <summary>Draws images; image i depends on the seed, the combinations and its index alone.</summary>
    /// <param name="seed">Another seed gives other images of the same kind.</param>
    /// <param name="combinations">What is drawn: image i takes one of them at random, or in turn.</param>
    /// <param name="inTurn">Whether each combination comes equally often.</param>
    /// <param name="firstIndex">Index of the first image; parts of other indices have other images.</param>
    /// <param name="count">Images.</param>
    /// <param name="side">Width and height in pixels.</param>
    public static CaptionedImages Draw(ulong seed, IReadOnlyList<int> combinations, bool inTurn, long firstIndex, int count, int side = 32)
    {
        var random = new CounterRandom(seed, RandomStream.Drawing);
        var (pixels, captions, traits) = (new byte[checked(count * side * side * 3)], new string[count], new ShapeTraits[count]);
        Parallel.For(0, count, i =>
        {
            var index = firstIndex + i;
            double Around(double spread, int position) => spread * ((2 * random.Uniform(index, position)) - 1);

            var combination = combinations[inTurn ? i % combinations.Count : random.Below(combinations.Count, index, Combination)];
            var shape = traits[i] = ShapeTraits.Of(combination) with { Background = random.Below(Backgrounds.Count, index, Ground) };
            captions[i] = Caption(shape, random.Below(WordingCount, index, Wording), random.Below(2, index, Synonym));
            var place = Places[shape.Place];
            ShapePaths.Draw(
                new DrawnShape(
                    Shapes[shape.Shape], Colours[shape.Colour].Rgb, Backgrounds[shape.Background].Rgb,
                    16 + (OffCentre * place.X) + Around(PositionJitter, OffsetX), 16 + (OffCentre * place.Y) + Around(PositionJitter, OffsetY),
                    Sizes[shape.Size].Radius + Around(RadiusJitter, Scale), Around(Rotation, Turn)),
                side, pixels.AsSpan(i * side * side * 3, side * side * 3));
        });
        var images = new ImageDataset { Name = "captioned shapes", Side = side, ClassNames = ["shapes"], Pixels = pixels, Labels = new int[count] };
        return new CaptionedImages(images, captions, traits);
    }

    private const int WordingCount = 4;

    private static string Caption(ShapeTraits t, int wording, int synonym)
    {
        var (size, colour, shape, place, ground) = (Sizes[t.Size].Names[synonym], Colours[t.Colour].Name, ShapeNames[t.Shape], Places[t.Place].Name,
            Backgrounds[t.Background].Name);
        return wording switch
        {
            0 => $"a {size} {colour} {shape} at the {place} on {ground}",
            1 => $"{place}: {size} {colour} {shape}, {ground} background",
            2 => $"on {ground}, a {shape} that is {colour} and {size}, {place}",
            _ => $"a {colour} {shape}, {size}, in the {place} of a {ground} picture",
        };
    }
}

/// <summary>What a drawn image shows, as places in the lists of <see cref="CaptionedShapes"/>.</summary>
internal readonly record struct ShapeTraits(int Shape, int Colour, int Size, int Place, int Background)
{
    /// <summary>The traits of a combination; the background is not part of it.</summary>
    public static ShapeTraits Of(int combination)
    {
        (combination, var place) = Math.DivRem(combination, CaptionedShapes.Places.Count);
        (combination, var size) = Math.DivRem(combination, CaptionedShapes.Sizes.Count);
        (combination, var colour) = Math.DivRem(combination, CaptionedShapes.Colours.Count);
        return new ShapeTraits(combination, colour, size, place, 0);
    }
}

/// <param name="Images">Without classes.</param>
/// <param name="Captions">[N].</param>
/// <param name="Traits">[N].</param>
internal sealed record CaptionedImages(ImageDataset Images, string[] Captions, ShapeTraits[] Traits);
