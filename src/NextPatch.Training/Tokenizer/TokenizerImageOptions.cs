using NextPatch.Data.Sources;

namespace NextPatch.Training.Tokenizer;

/// <summary>How a tokenizer's images are chosen and cut.</summary>
public sealed record TokenizerImageOptions
{
    /// <summary>Width and height of the crops in pixels.</summary>
    public required int Side { get; init; }

    /// <summary>Decides the held-out images, the order, crops and mirroring.</summary>
    public ulong Seed { get; init; }

    /// <summary>Share of each class that is held out where the data brings no test part.</summary>
    public double HeldOutShare { get; init; } = 0.05;

    /// <summary>Of the held-out images, how many at most the run is judged by.</summary>
    public int MostJudged { get; init; } = 500;

    /// <summary>Images are cut at random where they are large enough.</summary>
    public bool HasRandomCrops { get; init; } = true;

    /// <summary>Every other image is mirrored.</summary>
    public bool HasFlips { get; init; } = true;

    /// <summary>What happens to images that cannot be read.</summary>
    public OnBadImage OnBadImage { get; init; } = OnBadImage.Fail;
}
