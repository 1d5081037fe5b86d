using NextPatch.Evaluation.Metrics;
using NextPatch.Evaluation.Networks;

namespace NextPatch.Evaluation.Reconstruction;

/// <summary>
/// Fréchet distance of reconstructions from the originals of the same images, batch by batch: rFID, and pFID where codes were perturbed.
/// </summary>
internal sealed class ReconstructionDistance
{
    private readonly IFeatureNetwork _network;
    private readonly FeatureStatistics _originals;
    private readonly FeatureStatistics _reconstructions;
    private readonly FeatureStatistics _perturbed;

    /// <param name="network">Stays the caller's.</param>
    public ReconstructionDistance(IFeatureNetwork network)
    {
        _network = network;
        (_originals, _reconstructions, _perturbed) = (New(), New(), New());

        FeatureStatistics New() => new(network.FeatureCount);
    }

    public IFeatureNetwork Network => _network;

    /// <summary>Of the reconstructions so far; null below two images.</summary>
    public double? Value => Distance(_reconstructions);

    /// <summary>Of the images from perturbed codes; null where there are none.</summary>
    public double? Perturbed => Distance(_perturbed);

    /// <param name="originals">uint8 [N, S, S, 3].</param>
    /// <param name="reconstructions">The same images.</param>
    /// <param name="perturbed">The same images from perturbed codes; null: none.</param>
    /// <param name="side">S.</param>
    public void Add(byte[] originals, byte[] reconstructions, byte[]? perturbed, int side)
    {
        _originals.Add(_network.Extract(originals, side, side).Pooled);
        _reconstructions.Add(_network.Extract(reconstructions, side, side).Pooled);
        if (perturbed is not null)
        {
            _perturbed.Add(_network.Extract(perturbed, side, side).Pooled);
        }
    }

    private double? Distance(FeatureStatistics images) => images.Count < 2 ? null : FrechetDistance.Between(_originals, images);
}
