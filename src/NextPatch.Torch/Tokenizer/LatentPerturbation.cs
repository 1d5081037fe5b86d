using NextPatch.Core.Sampling;
using static TorchSharp.torch;

namespace NextPatch.Torch.Tokenizer;

// Shape letters used in this file: T codes per image, W code width, K codes, D neighbours.

/// <summary>
/// Replaces codes by neighbours, so that a decoder learns to live with a generator's mistakes (RobustTok, "Robust Latent Matters",
/// arXiv 2503.08354): some images are chosen, in them some codes, and each of those is drawn from the codes nearest to its latent.
/// </summary>
/// <remarks>
/// Every choice is a function of (seed, step, image, position). The paper takes the neighbours of the chosen code, its code those of
/// the latent; this follows the code. Published batches perturb their first floor(B * beta) images; here each image is chosen by itself, so
/// that small batches are perturbed as often as large ones.
/// </remarks>
public sealed class LatentPerturbation
{
    private const int ImagePosition = 0;

    private readonly LatentPerturbationConfig _config;
    private readonly CounterRandom _random;

    /// <param name="config">Settings; validated where the codebook is known.</param>
    /// <param name="seed">Seed of all choices.</param>
    public LatentPerturbation(LatentPerturbationConfig config, ulong seed)
    {
        _config = config;
        _random = new CounterRandom(seed, RandomStream.Perturbation);
    }

    /// <summary>Whether an image is perturbed at a step.</summary>
    /// <param name="step">Counted from 0; below 2^31.</param>
    /// <param name="image">Index of the image in the step; below 2^32.</param>
    public bool Chooses(long step, long image) => _random.Uniform(Item(step, image), ImagePosition) < _config.ImageShare;

    /// <summary>Codes of a chosen image, some of them replaced.</summary>
    /// <param name="codes">int64 [T]: the nearest code of each latent.</param>
    /// <param name="latents">float [T, W], as they are compared with the codebook.</param>
    /// <param name="codebook">float [K, W], as latents are compared with it.</param>
    /// <param name="step">Counted from 0.</param>
    /// <param name="image">Index of the image in the step.</param>
    /// <returns>int64 [T] in the caller's dispose scope.</returns>
    internal Tensor Replace(Tensor codes, Tensor latents, Tensor codebook, long step, long image)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        var count = _config.NeighboursAt(step);
        var neighbours = VectorQuantizer.Distances(latents, codebook).topk(count, dim: 1, largest: false, sorted: true).indexes; // [T, D]
        var share = _config.CodeShare * _config.RatioAt(step);
        var item = Item(step, image);
        var replaced = codes.cpu().data<long>().ToArray();
        var candidates = neighbours.cpu().contiguous().data<long>();
        for (var t = 0; t < replaced.Length; t++)
        {
            if (_random.Uniform(item, 1 + (2 * t)) < share)
            {
                replaced[t] = candidates[(t * (long)count) + _random.Below(count, item, 2 + (2 * t))];
            }
        }

        return tensor(replaced, device: codes.device).MoveToOuterDisposeScope(); // [T]
    }

    private static long Item(long step, long image) => (step << 32) | image;
}
