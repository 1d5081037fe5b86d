namespace NextPatch.Cpu.Tokenizer;

/// <summary>The feature maps that a decoder works in: the result so far, and others that layers write to.</summary>
internal sealed class DecoderMaps : IDisposable
{
    private readonly FeatureMap[] _projected = [new(), new(), new()];

    /// <summary>The result so far.</summary>
    public FeatureMap Current { get; private set; } = new();

    /// <summary>What becomes the result after <see cref="Swap"/>.</summary>
    public FeatureMap Next { get; private set; } = new();

    /// <summary>Normed input of a convolution.</summary>
    public FeatureMap Normed { get; } = new();

    /// <summary>Between the two convolutions of a block.</summary>
    public FeatureMap Inner { get; } = new();

    public FeatureMap Queries => _projected[0];

    public FeatureMap Keys => _projected[1];

    public FeatureMap Values => _projected[2];

    public void Swap() => (Current, Next) = (Next, Current);

    public void Dispose()
    {
        foreach (var map in (FeatureMap[])[Current, Next, Normed, Inner, .. _projected])
        {
            map.Dispose();
        }
    }
}
