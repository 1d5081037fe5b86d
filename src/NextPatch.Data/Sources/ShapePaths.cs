using SkiaSharp;

namespace NextPatch.Data.Sources;

/// <summary>Outlines of the drawn classes about the unit circle, y downwards: none reaches beyond 1.05 along an axis when turned by 0.2.
/// Bold, with no detail thinner than a quarter of the radius.</summary>
internal static class ShapePaths
{
    /// <summary>Class names and outlines; the order is the label.</summary>
    public static IReadOnlyList<(string Name, Action<SKPathBuilder> Outline)> All { get; } =
    [
        ("circle", Circle),
        ("square", Square),
        ("triangle", Triangle),
        ("star", Star),
        ("plus", Plus),
        ("ring", Ring),
        ("heart", Heart),
        ("moon", Moon),
        ("arrow", Arrow),
        ("letter T", LetterT),
    ];

    /// <summary>The outline of a label; the caller disposes it.</summary>
    public static SKPath Create(int label)
    {
        using var builder = new SKPathBuilder();
        All[label].Outline(builder);
        return builder.Detach();
    }

    /// <summary>Draws one shape on a vertical gradient.</summary>
    /// <param name="shape">What.</param>
    /// <param name="side">Width and height in pixels.</param>
    /// <param name="destination">uint8 [side, side, 3].</param>
    public static void Draw(DrawnShape shape, int side, Span<byte> destination)
    {
        using var bitmap = new SKBitmap(new SKImageInfo(side, side, SKColorType.Rgba8888, SKAlphaType.Opaque));
        using var canvas = new SKCanvas(bitmap);
        using var gradient = SKShader.CreateLinearGradient(
            new SKPoint(0, 0), new SKPoint(0, side), [Opaque(shape.Background.Top), Opaque(shape.Background.Bottom)], SKShaderTileMode.Clamp);
        using var background = new SKPaint { Shader = gradient };
        canvas.DrawPaint(background);

        canvas.Scale(side / 32f);
        canvas.Translate((float)shape.X, (float)shape.Y);
        canvas.RotateRadians((float)shape.Angle);
        canvas.Scale((float)shape.Radius);
        using var path = Create(shape.Label);
        using var fill = new SKPaint { Color = Opaque(shape.Fill), IsAntialias = true };
        canvas.DrawPath(path, fill);
        canvas.Flush();
        CopyRgb(bitmap.GetPixelSpan(), destination);
    }

    private static SKColor Opaque(uint rgb) => new(0xFF000000 | rgb);

    private static void CopyRgb(ReadOnlySpan<byte> rgba, Span<byte> rgb)
    {
        for (var (from, to) = (0, 0); to < rgb.Length; from += 4, to += 3)
        {
            rgba.Slice(from, 3).CopyTo(rgb[to..]);
        }
    }

    private static void Circle(SKPathBuilder path)
    {
        path.AddCircle(0, 0, 0.92f);
    }

    private static void Square(SKPathBuilder path) => Polygon(path, (-0.72f, -0.72f), (0.72f, -0.72f), (0.72f, 0.72f), (-0.72f, 0.72f));

    private static void Triangle(SKPathBuilder path) => Polygon(path, (0, -0.98f), (0.92f, 0.68f), (-0.92f, 0.68f));

    private static void Star(SKPathBuilder path)
    {
        var points = new (float X, float Y)[10];
        for (var i = 0; i < points.Length; i++)
        {
            var radius = i % 2 == 0 ? 1.04f : 0.44f;
            var (sin, cos) = MathF.SinCos(i * MathF.PI / 5);
            points[i] = (radius * sin, -radius * cos);
        }

        Polygon(path, points);
    }

    private static void Plus(SKPathBuilder path)
    {
        const float Arm = 0.94f;
        const float Half = 0.28f;
        Polygon(
            path,
            (-Half, -Arm), (Half, -Arm), (Half, -Half), (Arm, -Half), (Arm, Half), (Half, Half),
            (Half, Arm), (-Half, Arm), (-Half, Half), (-Arm, Half), (-Arm, -Half), (-Half, -Half));
    }

    private static void Ring(SKPathBuilder path)
    {
        path.FillType = SKPathFillType.EvenOdd;
        path.AddCircle(0, 0, 0.96f);
        path.AddCircle(0, 0, 0.5f);
    }

    private static void Heart(SKPathBuilder path)
    {
        path.MoveTo(0, 0.96f);
        path.CubicTo(-0.5f, 0.5f, -0.98f, 0.15f, -0.98f, -0.32f);
        path.CubicTo(-0.98f, -0.98f, -0.12f, -1.02f, 0, -0.22f);
        path.CubicTo(0.12f, -1.02f, 0.98f, -0.98f, 0.98f, -0.32f);
        path.CubicTo(0.98f, 0.15f, 0.5f, 0.5f, 0, 0.96f);
        path.Close();
    }

    private static void Moon(SKPathBuilder path)
    {
        // The bite's circle meets the outer circle at +-50 degrees and reaches past the middle.
        const float Outer = 0.95f;
        var sin = Outer * MathF.Sin(50 * MathF.PI / 180);
        var cos = Outer * MathF.Cos(50 * MathF.PI / 180);
        const float Shift = 0.1f;
        path.MoveTo(cos - Shift, -sin);
        path.ArcTo(Outer, Outer, 0, SKPathArcSize.Large, SKPathDirection.CounterClockwise, cos - Shift, sin);
        path.ArcTo(0.75f, 0.75f, 0, SKPathArcSize.Large, SKPathDirection.Clockwise, cos - Shift, -sin);
        path.Close();
    }

    private static void Arrow(SKPathBuilder path) => Polygon(
        path, (-0.98f, -0.26f), (0.08f, -0.26f), (0.08f, -0.82f), (1, 0), (0.08f, 0.82f), (0.08f, 0.26f), (-0.98f, 0.26f));

    private static void LetterT(SKPathBuilder path) => Polygon(
        path, (-0.84f, -0.86f), (0.84f, -0.86f), (0.84f, -0.38f), (0.26f, -0.38f), (0.26f, 0.94f), (-0.26f, 0.94f), (-0.26f, -0.38f),
            (-0.84f, -0.38f));

    private static void Polygon(SKPathBuilder path, params ReadOnlySpan<(float X, float Y)> points)
    {
        path.MoveTo(points[0].X, points[0].Y);
        foreach (var (x, y) in points[1..])
        {
            path.LineTo(x, y);
        }

        path.Close();
    }
}

/// <summary>A shape on a background; lengths are pixels of a 32-pixel image, colours 0xRRGGBB.</summary>
/// <param name="Label">Which of <see cref="ShapePaths.All"/>.</param>
/// <param name="Fill">Its colour.</param>
/// <param name="Background">Colours at the top and at the bottom.</param>
/// <param name="X">Centre.</param>
/// <param name="Y">Centre.</param>
/// <param name="Radius">Half of the width and height that it fills, about.</param>
/// <param name="Angle">Radians, clockwise.</param>
internal readonly record struct DrawnShape(
    int Label, uint Fill, (uint Top, uint Bottom) Background, double X, double Y, double Radius, double Angle);
