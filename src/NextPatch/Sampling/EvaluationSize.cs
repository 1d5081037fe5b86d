namespace NextPatch.Sampling;

/// <summary>The size at which images are written, where it is not the size at which they are drawn.</summary>
/// <param name="Side">Width and height in pixels.</param>
/// <param name="IsAntialiased">Pillow's bicubic filter, which looks at every pixel; else the published interpolation, which leaves some out.</param>
internal sealed record EvaluationSize(int Side, bool IsAntialiased)
{
    /// <summary>What metadata call Pillow's filter.</summary>
    public const string Antialiased = "bicubic, antialiased";

    /// <summary>What metadata call the filter.</summary>
    public string Filter => IsAntialiased ? Antialiased : "bicubic";
}
