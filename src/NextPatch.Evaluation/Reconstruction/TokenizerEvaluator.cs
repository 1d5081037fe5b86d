using System.Diagnostics;
using NextPatch.Core;
using NextPatch.Evaluation.Metrics;
using NextPatch.Evaluation.Networks;
using NextPatch.Reconstruction;
using NextPatch.Torch.Perception;
using NextPatch.Torch.Tokenizer;
using static TorchSharp.torch;

namespace NextPatch.Evaluation.Reconstruction;

/// <summary>Measures reconstructions batch by batch, so that memory does not grow with the number of images.</summary>
internal sealed class TokenizerEvaluator
{
    private readonly VqTokenizer _tokenizer;
    private readonly IPerceptualLoss? _perception;
    private readonly LatentPerturbationConfig? _perturbation;
    private readonly ulong _seed;
    private readonly ReconstructionDistance? _distance;
    private readonly ReconstructionQuality _quality = new();
    private readonly ReconstructionQuality _perturbedQuality = new();
    private readonly CodeUsage _usage;
    private double _distanceSum;

    /// <param name="tokenizer">Whose codes are counted.</param>
    /// <param name="perception">Null: no perceptual distance.</param>
    /// <param name="perturbation">Null: no second look through perturbed codes.</param>
    /// <param name="seed">Decides which codes are perturbed.</param>
    /// <param name="distance">Null: no Fréchet distances.</param>
    public TokenizerEvaluator(
        VqTokenizer tokenizer, IPerceptualLoss? perception, LatentPerturbationConfig? perturbation, ulong seed,
        ReconstructionDistance? distance = null)
    {
        (_tokenizer, _perception, _perturbation, _seed, _distance) = (tokenizer, perception, perturbation, seed, distance);
        _usage = new CodeUsage(tokenizer.Config.CodebookSize);
    }

    /// <param name="images">What is measured.</param>
    /// <param name="dataset">Its name.</param>
    /// <param name="part">train or test; null: all of it.</param>
    /// <param name="tokenizerHash">SHA-256 of the tokenizer's weights.</param>
    /// <param name="progress">Told after every batch.</param>
    /// <param name="cancellation">Checked within batches.</param>
    /// <exception cref="NextPatchException">No image could be read.</exception>
    public TokenizerEvaluation Run(
        ReconstructionStream images, string dataset, string? part, string tokenizerHash, IProgress<int>? progress, CancellationToken cancellation)
    {
        var clock = Stopwatch.StartNew();
        foreach (var batch in images.Read(progress, cancellation))
        {
            Add(batch);
        }

        if (_quality.Count == 0)
        {
            throw new NextPatchException(
                $"None of {images.SkippedCount} images could be read; the first: "
                + $"{(images.Skipped.Count > 0 ? images.Skipped[0].Reason : "there is none")}");
        }

        return new TokenizerEvaluation
        {
            Dataset = dataset,
            Part = part,
            TokenizerHash = tokenizerHash,
            Count = _quality.Count,
            Skipped = images.SkippedCount,
            ImageSize = _tokenizer.Config.ImageSide,
            GridSide = _tokenizer.Config.GridSide,
            CodebookSize = _tokenizer.Config.CodebookSize,
            Psnr = _quality.Psnr,
            Ssim = _quality.Ssim,
            CodebookUsage = (double)_usage.UsedCount / _tokenizer.Config.CodebookSize,
            UsedCodes = _usage.UsedCount,
            Perplexity = _usage.Perplexity,
            Lpips = _perception is Lpips ? _distanceSum / _quality.Count : null,
            SqueezeNetDistance = _perception is SqueezeNetPerception ? _distanceSum / _quality.Count : null,
            Perturbed = _perturbation is { } p ? new(p.CodeShare, p.Neighbours, _seed, _perturbedQuality.Psnr, _perturbedQuality.Ssim) : null,
            Rfid = IsFid ? _distance!.Value : null,
            Pfid = IsFid ? _distance!.Perturbed : null,
            Rfd = IsFid ? null : _distance?.Value,
            Pfd = IsFid ? null : _distance?.Perturbed,
            Network = _distance?.Network.Name,
            NetworkHash = _distance?.Network.WeightsHash,
            Resize = _distance?.Network.Resize?.ToString().ToLowerInvariant(),
            ImagesPerSecond = _quality.Count / clock.Elapsed.TotalSeconds,
        };
    }

    private bool IsFid => _distance?.Network.Name == FeatureNetworks.Inception;

    private void Add(ReconstructedBatch batch)
    {
        var perturbed = Perturb(batch);
        _distance?.Add(batch.Originals, batch.Reconstructions, perturbed, _tokenizer.Config.ImageSide);
        _usage.Add(Array.ConvertAll(batch.Codes, c => (long)c));
        for (var i = 0; i < batch.Images.Count; i++)
        {
            var original = batch.Of(batch.Originals, i);
            var reconstruction = batch.Of(batch.Reconstructions, i);
            _quality.Add(original, reconstruction, _tokenizer.Config.ImageSide);
            _distanceSum += _perception is null ? 0 : Distance(_perception, original, reconstruction);
            if (perturbed is not null)
            {
                _perturbedQuality.Add(original, batch.Of(perturbed, i), _tokenizer.Config.ImageSide);
            }
        }
    }

    /// <summary>The batch's images decoded from perturbed codes.</summary>
    private byte[]? Perturb(ReconstructedBatch batch)
    {
        if (_perturbation is null)
        {
            return null;
        }

        using var scope = NewDisposeScope();
        var images = ImageTensors.FromPixels(batch.Originals, _tokenizer.Config.ImageSide);
        var perturbed = _tokenizer.EncodePerturbed(images, new LatentPerturbation(_perturbation, _seed), _quality.Count);
        return ImageTensors.ToPixels(_tokenizer.Decode(perturbed));
    }

    private double Distance(IPerceptualLoss perception, ReadOnlySpan<byte> original, ReadOnlySpan<byte> reconstruction)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        var side = _tokenizer.Config.ImageSide;
        return perception.Distance(ImageTensors.FromPixels(original, side), ImageTensors.FromPixels(reconstruction, side)).item<float>();
    }
}
