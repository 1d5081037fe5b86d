using System.Numerics;
using NextPatch.Core.Checkpoints;

namespace NextPatch.Core.Configuration;

/// <summary>
/// A VQ tokenizer: square RGB images to a square grid of codes and back. Levels are listed outermost (largest) first. A small
/// tokenizer halves the side in each level; VQGAN halves it between levels, so it has one level more.
/// </summary>
public sealed record TokenizerConfig
{
    /// <summary>Groups of VQGAN's group normalisation.</summary>
    public const int VqganNormGroups = 32;

    private const int ChannelMultiple = 16;

    /// <summary>The kind of encoder and decoder.</summary>
    public TokenizerArchitecture Architecture { get; init; } = TokenizerArchitecture.Small;

    /// <summary>Pixels per side of an image.</summary>
    public int ImageSide { get; init; } = 32;

    /// <summary>Pixels per side of the square that one code stands for; a power of two.</summary>
    public int DownsamplingFactor { get; init; } = 4;

    /// <summary>Number of codes K; also the vocabulary of the transformer.</summary>
    public int CodebookSize { get; init; } = 128;

    /// <summary>Components of a code vector.</summary>
    public int CodeWidth { get; init; } = 8;

    /// <summary>Feature channels of each level, outermost first; multiples of 16.</summary>
    /// <remarks>With 8 channels libtorch 2.10 reads uninitialised memory in the backward pass of a convolution on AVX-512
    /// processors, and gradients become NaN now and then; multiples of the vector width are clean.</remarks>
    public IReadOnlyList<int> Channels { get; init; } = [32, 64];

    /// <summary>VQGAN only: channels of the encoder's first convolution (<c>ch</c>), a multiple of 32. Null: those of the outermost level, as in
    /// every published size, whose first multiplier is 1.</summary>
    public int? BaseChannels { get; init; }

    /// <summary>Residual blocks of each level, outermost first; the decoder mirrors them.</summary>
    public IReadOnlyList<int> BlockCounts { get; init; } = [0, 2];

    /// <summary>VQGAN only: channels between encoder and codebook (<c>z_channels</c>).</summary>
    public int LatentChannels { get; init; } = 256;

    /// <summary>Latents and codes are compared on the unit sphere (<c>codebook_l2_norm</c>).</summary>
    public bool NormalizeCodes { get; init; } = true;

    /// <summary>Weight of the entropy loss that makes the codebook be used evenly (<c>entropy_loss_ratio</c>); 0 = off, as published.</summary>
    public double EntropyWeight { get; init; }

    /// <summary>Weight of the commitment loss (latents drawn to their codes) against the codebook loss, whose weight is 1.</summary>
    public double CommitmentWeight { get; init; } = 0.25;

    /// <summary>Codes per side of the grid; 0 before <see cref="Validate"/> for what cannot be divided.</summary>
    public int GridSide => DownsamplingFactor > 0 ? ImageSide / DownsamplingFactor : 0;

    /// <summary>Codes per image T.</summary>
    public int CodesPerImage => GridSide * GridSide;

    /// <summary>Codes of the first rows of one image.</summary>
    /// <param name="codes">How many there are.</param>
    /// <exception cref="NextPatchException">They are not whole rows, none, or more than an image has.</exception>
    internal void RequireRows(int codes)
    {
        if (codes <= 0 || codes > CodesPerImage || codes % GridSide != 0)
        {
            throw new NextPatchException($"{codes} codes are not 1 to {GridSide} rows of {GridSide} codes, the upper part of an image.");
        }
    }

    /// <summary>The configuration beside a tokenizer's weights, or, of a file in the published layout, the one that its shapes tell.</summary>
    /// <param name="path">A folder with config.json, or a file of weights.</param>
    /// <param name="weights">What is open of it.</param>
    /// <exception cref="NextPatchException">The configuration is missing or damaged, or these are not the weights of a tokenizer.</exception>
    public static TokenizerConfig Read(string path, WeightsFile weights) => TokenizerInference.Read(path, weights);

    /// <exception cref="ConfigException">Names every value that cannot work.</exception>
    public void Validate()
    {
        var problems = new List<string>();
        RequirePositive(problems, nameof(ImageSide), ImageSide);
        RequirePositive(problems, nameof(CodebookSize), CodebookSize);
        RequirePositive(problems, nameof(CodeWidth), CodeWidth);
        RequirePositive(problems, nameof(LatentChannels), LatentChannels);
        if (DownsamplingFactor < 2 || !BitOperations.IsPow2(DownsamplingFactor))
        {
            problems.Add($"Tokenizer DownsamplingFactor is {DownsamplingFactor} but must be a power of two, at least 2.");
        }
        else
        {
            var levels = BitOperations.Log2((uint)DownsamplingFactor) + (Architecture == TokenizerArchitecture.Vqgan ? 1 : 0);
            var multiple = Architecture == TokenizerArchitecture.Vqgan ? VqganNormGroups : ChannelMultiple;
            RequireLevels(problems, nameof(Channels), Channels, levels, c => c > 0 && c % multiple == 0, $"a positive multiple of {multiple}");
            RequireLevels(problems, nameof(BlockCounts), BlockCounts, levels, b => b >= 0, "at least 0");
            if (Architecture == TokenizerArchitecture.Vqgan && BlockCounts?.Distinct().Count() > 1)
            {
                problems.Add($"Tokenizer BlockCounts is [{string.Join(", ", BlockCounts)}] but VQGAN has the same number in every level.");
            }

            if (BaseChannels is { } width && (Architecture != TokenizerArchitecture.Vqgan || width < 1 || width % VqganNormGroups != 0))
            {
                problems.Add($"Tokenizer BaseChannels is {width} but must be a positive multiple of {VqganNormGroups}, and only VQGAN has it.");
            }

            if (ImageSide % DownsamplingFactor != 0)
            {
                problems.Add($"Tokenizer ImageSide {ImageSide} is not divisible by DownsamplingFactor {DownsamplingFactor}.");
            }
        }

        foreach (var (name, weight) in new[] { (nameof(CommitmentWeight), CommitmentWeight), (nameof(EntropyWeight), EntropyWeight) })
        {
            if (!(weight >= 0 && double.IsFinite(weight)))
            {
                problems.Add($"Tokenizer {name} is {weight} but must be a finite number, at least 0.");
            }
        }

        if (problems.Count > 0)
        {
            throw new ConfigException(problems);
        }
    }

    private static void RequirePositive(List<string> problems, string name, int value)
    {
        if (value < 1)
        {
            problems.Add($"Tokenizer {name} is {value} but must be at least 1.");
        }
    }

    private void RequireLevels(List<string> problems, string name, IReadOnlyList<int>? values, int levels, Func<int, bool> isValid, string rule)
    {
        if (values?.Count != levels)
        {
            problems.Add(
                $"Tokenizer {name} has {values?.Count ?? 0} entries but a downsampling factor of {DownsamplingFactor} has {levels} levels; give "
                + $"one entry per level, or another factor.");
        }
        else if (!values.All(isValid))
        {
            problems.Add($"Tokenizer {name} is [{string.Join(", ", values)}] but every entry must be {rule}.");
        }
    }
}

/// <summary>The networks a VQ tokenizer may be made of.</summary>
public enum TokenizerArchitecture
{
    /// <summary>Strided convolutions and few residual blocks: for small images, trained in seconds on a CPU.</summary>
    Small,

    /// <summary>The encoder and decoder of VQGAN (arXiv 2012.09841) as LlamaGen publishes them: residual blocks, attention at the
    /// lowest resolution. State keys and shapes are the published ones.</summary>
    Vqgan,
}
