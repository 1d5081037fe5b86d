namespace NextPatch.Data.Sources;

/// <summary>
/// Measures from the pixels what an image of <see cref="CaptionedShapes"/> shows. The background is what the image's edge is, row by row; how far a
/// pixel differs from it says how much of it the shape covers; the extent of what is covered gives place and size, its mean colour the colour, and
/// its outline is compared with those of all shapes.
/// </summary>
internal static class ShapeReader
{
    private const int Template = 24;          // side of the outlines that are compared, in pixels
    private const double Covered = 0.5;       // of the largest difference to the background
    private const double LeastDifference = 60; // of 441; less is no shape

    private static readonly Lazy<(int Shape, int Size, double Extent, float[] Outline)[]> Outlines = new(CreateOutlines);

    /// <summary>The traits of an image, background aside; null where it shows no shape.</summary>
    /// <param name="pixels">uint8 [side, side, 3].</param>
    /// <param name="side">Width and height.</param>
    public static ShapeTraits? Read(ReadOnlySpan<byte> pixels, int side)
    {
        var cover = Cover(pixels, side, out var largest);
        if (largest < LeastDifference || Box(cover, side) is not { } box)
        {
            return null;
        }

        var unit = side / 32.0;
        var (x, y) = (((box.Left + box.Right) / 2 / unit) - 16, ((box.Top + box.Bottom) / 2 / unit) - 16);
        var shape = ShapeOf(cover, side, box);
        return new ShapeTraits(shape, ColourOf(pixels, cover), SizeOf(shape, ExtentOf(box) / unit), PlaceOf(x, y), 0);
    }

    /// <summary>How much of each pixel the shape covers, 0 to 1.</summary>
    private static float[] Cover(ReadOnlySpan<byte> pixels, int side, out double largest)
    {
        var cover = new float[side * side];
        Span<double> ground = stackalloc double[3];
        for (var y = 0; y < side; y++)
        {
            // A shape may touch one edge of a row, hardly both: the darker one is background.
            var left = pixels.Slice(y * side * 3, 3);
            var right = pixels.Slice(((y * side) + side - 1) * 3, 3);
            var edge = left[0] + left[1] + left[2] <= right[0] + right[1] + right[2] ? left : right;
            (ground[0], ground[1], ground[2]) = (edge[0], edge[1], edge[2]);
            for (var x = 0; x < side; x++)
            {
                var sum = 0.0;
                for (var c = 0; c < 3; c++)
                {
                    var d = pixels[(((y * side) + x) * 3) + c] - ground[c];
                    sum += d * d;
                }

                cover[(y * side) + x] = (float)Math.Sqrt(sum);
            }
        }

        // A single odd pixel is no scale: the level that one pixel in a hundred reaches.
        var sorted = (float[])cover.Clone();
        Array.Sort(sorted);
        largest = sorted[^Math.Max(1, cover.Length / 100)];
        for (var i = 0; i < cover.Length && largest > 0; i++)
        {
            cover[i] = (float)Math.Min(1, cover[i] / largest);
        }

        return cover;
    }

    /// <summary>Extent of the largest connected part that is covered; its edges to a fraction of a pixel by what is covered there.</summary>
    private static (double Left, double Top, double Right, double Bottom)? Box(float[] cover, int side)
    {
        var part = new int[cover.Length];
        var (best, bestCount, next) = (0, 0, 0);
        var open = new Stack<int>();
        for (var start = 0; start < cover.Length; start++)
        {
            if (cover[start] < Covered || part[start] != 0)
            {
                continue;
            }

            var count = 0;
            part[start] = ++next;
            open.Push(start);
            while (open.TryPop(out var at))
            {
                count++;
                var (ax, ay) = (at % side, at / side);
                foreach (var (x, y) in (ReadOnlySpan<(int, int)>)[(ax - 1, ay), (ax + 1, ay), (ax, ay - 1), (ax, ay + 1)])
                {
                    if (x >= 0 && y >= 0 && x < side && y < side && cover[(y * side) + x] >= Covered && part[(y * side) + x] == 0)
                    {
                        part[(y * side) + x] = next;
                        open.Push((y * side) + x);
                    }
                }
            }

            (best, bestCount) = count > bestCount ? (next, count) : (best, bestCount);
        }

        if (bestCount < 4)
        {
            return null;
        }

        var (left, top, right, bottom) = (side, side, 0, 0);
        for (var i = 0; i < part.Length; i++)
        {
            if (part[i] == best)
            {
                (left, top) = (Math.Min(left, i % side), Math.Min(top, i / side));
                (right, bottom) = (Math.Max(right, (i % side) + 1), Math.Max(bottom, (i / side) + 1));
            }
            else if (part[i] != 0)
            {
                cover[i] = 0; // another part is not the shape
            }
        }

        return (left, top, right, bottom);
    }

    private static double ExtentOf((double Left, double Top, double Right, double Bottom) box)
        => Math.Max(box.Right - box.Left, box.Bottom - box.Top);

    /// <summary>The size at which the shape extends most nearly as far: a square of a radius is smaller than a circle.</summary>
    private static int SizeOf(int shape, double extent)
        => Outlines.Value.Where(o => o.Shape == shape).GroupBy(o => o.Size).MinBy(size => Math.Abs(size.Average(o => o.Extent) - extent))!.Key;

    private static int PlaceOf(double x, double y)
        => Enumerable.Range(0, CaptionedShapes.Places.Count).MinBy(k =>
        {
            var place = CaptionedShapes.Places[k];
            var (dx, dy) = (x - (CaptionedShapes.OffCentre * place.X), y - (CaptionedShapes.OffCentre * place.Y));
            return (dx * dx) + (dy * dy);
        });

    private static int ColourOf(ReadOnlySpan<byte> pixels, float[] cover)
    {
        var (r, g, b, weight) = (0.0, 0.0, 0.0, 0.0);
        for (var i = 0; i < cover.Length; i++)
        {
            var w = cover[i] > 0.8f ? 1 : 0;
            (r, g, b, weight) = (r + (w * pixels[i * 3]), g + (w * pixels[(i * 3) + 1]), b + (w * pixels[(i * 3) + 2]), weight + w);
        }

        var (red, green, blue) = (r / weight, g / weight, b / weight);
        return Enumerable.Range(0, CaptionedShapes.Colours.Count).MinBy(k =>
        {
            var rgb = CaptionedShapes.Colours[k].Rgb;
            var (dr, dg, db) = (red - ((rgb >> 16) & 255), green - ((rgb >> 8) & 255), blue - (rgb & 255));
            return (dr * dr) + (dg * dg) + (db * db);
        });
    }

    /// <summary>The shape whose outline correlates best with the covered part.</summary>
    private static int ShapeOf(float[] cover, int side, (double Left, double Top, double Right, double Bottom) box)
    {
        var outline = Normalized(cover, side, box);
        return Outlines.Value.MaxBy(o => o.Outline.Zip(outline, (a, b) => a * b).Sum()).Shape;
    }

    /// <summary>What lies in the box, stretched to a square of one size with mean 0 and length 1.</summary>
    private static float[] Normalized(float[] cover, int side, (double Left, double Top, double Right, double Bottom) box)
    {
        // The square around the box, so that proportions stay.
        var half = Math.Max(box.Right - box.Left, box.Bottom - box.Top) / 2;
        var (cx, cy) = ((box.Left + box.Right) / 2, (box.Top + box.Bottom) / 2);
        var values = new float[Template * Template];
        for (var v = 0; v < Template; v++)
        {
            for (var u = 0; u < Template; u++)
            {
                values[(v * Template) + u] = Sample(
                    cover, side, cx + (half * (((2 * u) + 1.0) / Template - 1)) - 0.5, cy + (half * (((2 * v) + 1.0) / Template - 1)) - 0.5);
            }
        }

        var mean = values.Average();
        var length = MathF.Sqrt(values.Sum(x => (x - mean) * (x - mean))) + 1e-9f;
        return Array.ConvertAll(values, x => (x - mean) / length);
    }

    private static float Sample(float[] cover, int side, double x, double y)
    {
        float At(int px, int py) => px < 0 || py < 0 || px >= side || py >= side ? 0 : cover[(py * side) + px];

        var (x0, y0) = ((int)Math.Floor(x), (int)Math.Floor(y));
        var (fx, fy) = ((float)(x - x0), (float)(y - y0));
        return (At(x0, y0) * (1 - fx) * (1 - fy)) + (At(x0 + 1, y0) * fx * (1 - fy)) + (At(x0, y0 + 1) * (1 - fx) * fy)
            + (At(x0 + 1, y0 + 1) * fx * fy);
    }

    /// <summary>Outlines of all shapes, of both sizes and some turns, drawn and measured as images are.</summary>
    private static (int Shape, int Size, double Extent, float[] Outline)[] CreateOutlines()
    {
        const int Side = 32;
        var outlines = new List<(int, int, double, float[])>();
        foreach (var shape in Enumerable.Range(0, CaptionedShapes.Shapes.Count))
        {
            foreach (var (size, (_, radius)) in CaptionedShapes.Sizes.Index())
            {
                foreach (var angle in (ReadOnlySpan<double>)[-0.1, 0, 0.1])
                {
                    var pixels = new byte[Side * Side * 3];
                    ShapePaths.Draw(new DrawnShape(CaptionedShapes.Shapes[shape], 0xFFFFFF, (0, 0), 16, 16, radius, angle), Side, pixels);
                    var cover = Cover(pixels, Side, out _);
                    var box = Box(cover, Side)!.Value;
                    outlines.Add((shape, size, ExtentOf(box), Normalized(cover, Side, box)));
                }
            }
        }

        return [.. outlines];
    }
}
