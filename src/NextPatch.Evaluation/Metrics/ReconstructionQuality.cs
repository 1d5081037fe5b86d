using NextPatch.Core.Imaging;

namespace NextPatch.Evaluation.Metrics;

/// <summary>How near reconstructions are to their originals, as the published evaluation of tokenizers says it: means over images.</summary>
internal sealed class ReconstructionQuality
{
    private double _psnrSum;
    private double _ssimSum;
    private bool _hasSsim = true;

    /// <summary>Images added.</summary>
    public int Count { get; private set; }

    /// <summary>Mean over images of their peak signal-to-noise ratio in dB; NaN before any was added.</summary>
    /// <remarks>Source: <c>reconstruction_vq_ddp.py</c> of LlamaGen. One mean of the squared errors of all images would be lower.
    /// An image that comes back unchanged, infinite there, counts as if one value of one pixel were one level off.</remarks>
    public double Psnr => _psnrSum / Count;

    /// <summary>Mean over images of <see cref="StructuralSimilarity"/>; null where images are smaller than its window.</summary>
    public double? Ssim => _hasSsim && Count > 0 ? _ssimSum / Count : null;

    /// <param name="original">RGB uint8 [height, width, 3].</param>
    /// <param name="reconstruction">RGB uint8 of the same size.</param>
    /// <param name="width">Pixels per row.</param>
    public void Add(ReadOnlySpan<byte> original, ReadOnlySpan<byte> reconstruction, int width)
    {
        Count++;
        _psnrSum += Math.Min(PeakSignalToNoise.Compute(original, reconstruction), 10 * Math.Log10(255.0 * 255 * original.Length));
        _hasSsim &= Math.Min(width, original.Length / 3 / width) >= StructuralSimilarity.Window;
        if (_hasSsim)
        {
            _ssimSum += StructuralSimilarity.Compute(original, reconstruction, width);
        }
    }
}
