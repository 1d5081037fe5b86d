namespace NextPatch.Data.Sources;

/// <summary>
/// How much drawn shapes vary. Lengths are pixels of a 32-pixel image and scale with the side; colours are 0xRRGGBB.
/// The defaults are what a 1 M parameter model on an 8x8 code grid learns in about 90 seconds on two cores.
/// </summary>
internal sealed record ShapesOptions
{
    /// <summary>The centre lies within this distance of the middle of the image, uniformly along each axis.</summary>
    public double PositionJitter { get; init; } = 2.5;

    /// <summary>Smallest radius: half of the width and height that shapes fill, about.</summary>
    public double MinRadius { get; init; } = 9.5;

    /// <summary>Largest radius; 1.05 times it plus the jitter must stay below 16, or shapes are cut off.</summary>
    public double MaxRadius { get; init; } = 12.75;

    /// <summary>Shapes are turned by up to this angle in radians, either way.</summary>
    public double Rotation { get; init; } = 0.2;

    /// <summary>Colours of the shapes: bright and far apart, so that a small codebook can hold them all.</summary>
    public IReadOnlyList<uint> Fills { get; init; } = [0xFF4D42, 0xFFD93D, 0x4CE070, 0x45B8FF, 0xF06CF0, 0xF4F4F4];

    /// <summary>Backgrounds: dark vertical gradients, so that every fill stands out on every background.</summary>
    public IReadOnlyList<(uint Top, uint Bottom)> Backgrounds { get; init; } =
    [
        (0x0A1030, 0x24386E),
        (0x08241C, 0x1C5040),
        (0x2C0A20, 0x5E2440),
        (0x141414, 0x3C3C3C),
    ];
}
