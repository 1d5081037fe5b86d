namespace NextPatch.Evaluation.Reconstruction;

/// <summary>What <c>tokenizer eval --json</c> writes.</summary>
internal sealed record TokenizerEvaluation
{
    /// <summary>Name of the dataset.</summary>
    public required string Dataset { get; init; }

    /// <summary>train or test; null where the dataset is one set of images.</summary>
    public string? Part { get; init; }

    /// <summary>Images measured.</summary>
    public required int Count { get; init; }

    /// <summary>Images left out because they could not be read.</summary>
    public required int Skipped { get; init; }

    /// <summary>Side of the crops in pixels.</summary>
    public required int ImageSize { get; init; }

    public required int GridSide { get; init; }

    public required int CodebookSize { get; init; }

    /// <summary>SHA-256 of the tokenizer's weights file.</summary>
    public required string TokenizerHash { get; init; }

    /// <summary>Mean over images, dB.</summary>
    public required double Psnr { get; init; }

    /// <summary>Mean over images; null for images smaller than its window.</summary>
    public double? Ssim { get; init; }

    /// <summary>Share of the codebook that the images use.</summary>
    public required double CodebookUsage { get; init; }

    public required int UsedCodes { get; init; }

    /// <summary>exp(entropy) of the codes.</summary>
    public required double Perplexity { get; init; }

    /// <summary>Mean over images in the features of VGG-16, where its weights are given.</summary>
    public double? Lpips { get; init; }

    /// <summary>Mean over images of the distance in the features of SqueezeNet, where those are given; not LPIPS.</summary>
    public double? SqueezeNetDistance { get; init; }

    /// <summary>The same after codes were replaced by neighbours, where that is asked for.</summary>
    public PerturbedQuality? Perturbed { get; init; }

    /// <summary>
    /// Fréchet distance from the originals of the same images in the features of the FID Inception network; null under another network.
    /// </summary>
    public double? Rfid { get; init; }

    /// <summary>The same after codes were perturbed.</summary>
    public double? Pfid { get; init; }

    /// <summary>Fréchet distance from the originals in the features of <see cref="Network"/>, which is not Inception.</summary>
    public double? Rfd { get; init; }

    /// <summary>The same after codes were perturbed.</summary>
    public double? Pfd { get; init; }

    /// <summary>Name of the feature network; null where none was given.</summary>
    public string? Network { get; init; }

    /// <summary>SHA-256 of its weights.</summary>
    public string? NetworkHash { get; init; }

    /// <summary>How images came to its size: adm, clean or legacy.</summary>
    public string? Resize { get; init; }

    public required double ImagesPerSecond { get; init; }

    /// <param name="CodeShare">Probability that a code is drawn anew (alpha).</param>
    /// <param name="Neighbours">Of how many nearest codes (delta).</param>
    /// <param name="Seed">Decides which codes.</param>
    /// <param name="Psnr">Mean over images, dB.</param>
    /// <param name="Ssim">Mean over images.</param>
    internal sealed record PerturbedQuality(double CodeShare, int Neighbours, ulong Seed, double Psnr, double? Ssim);
}
