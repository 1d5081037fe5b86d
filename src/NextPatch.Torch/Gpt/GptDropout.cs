using NextPatch.Core.Configuration;
using NextPatch.Kernels.Elementwise;
using NextPatch.Kernels.Simd;

namespace NextPatch.Torch.Gpt;

/// <summary>All dropout of one training pass, from one seed: the fused step and the reference drop the same elements.</summary>
internal sealed class GptDropout
{
    private readonly GptConfig _config;
    private readonly ulong _seed;
    private readonly int _images;
    private readonly int _tokens;
    private readonly int _firstImage;

    /// <param name="config">Probabilities.</param>
    /// <param name="seed">64 random bits of the step and micro-batch.</param>
    /// <param name="images">Images of the micro-batch.</param>
    /// <param name="tokens">Tokens per image.</param>
    /// <param name="firstImage">Images of the micro-batch before these, which another process computes.</param>
    public GptDropout(GptConfig config, ulong seed, int images, int tokens, int firstImage = 0)
        => (_config, _seed, _images, _tokens, _firstImage) = (config, seed, images, tokens, firstImage);

    /// <summary>Nothing is dropped.</summary>
    public static GptDropout None(GptConfig config)
        => new(config with { TokenDropout = 0, AttentionDropout = 0, ResidualDropout = 0, FfnDropout = 0, DropPath = 0 }, 0, 0, 0);

    public DropMask Tokens => new(_config.TokenDropout, Seed(0), Before(_config.Width));

    public DropMask AttentionWeights(int layer)
        => new(_config.AttentionDropout, Seed((4 * layer) + 1), Before(_config.HeadCount * _tokens));

    public BranchDrop AttentionBranch(int layer) => Branch(layer, _config.ResidualDropout, (4 * layer) + 2);

    public BranchDrop FeedForwardBranch(int layer) => Branch(layer, _config.FfnDropout, (4 * layer) + 3);

    /// <summary>Probability that a block's branch is dropped; grows linearly from 0 at the first block.</summary>
    public static double DropPathOf(GptConfig config, int layer) => config.LayerCount > 1 ? config.DropPath * layer / (config.LayerCount - 1) : 0;

    private BranchDrop Branch(int layer, double probability, int stream)
    {
        var samples = new DropMask(DropPathOf(_config, layer), ~Seed(stream));
        return new BranchDrop(
            new DropMask(probability, Seed(stream), Before(_config.Width)),
            samples.IsActive ? [.. Enumerable.Range(_firstImage, _images).Select(i => samples.Factor((uint)i))] : null, _tokens);
    }

    /// <summary>Elements of the images before; a mask counts modulo 2^32.</summary>
    private uint Before(int elementsPerToken) => (uint)((long)_firstImage * _tokens * elementsPerToken);

    /// <summary>SplitMix64 of the pass's seed and a stream.</summary>
    private ulong Seed(int stream)
    {
        var z = _seed + (0x9E3779B97F4A7C15 * (ulong)(stream + 1));
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
