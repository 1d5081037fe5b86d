using System.Numerics;

namespace NextPatch.Core.Configuration;

/// <summary>
/// A small VQ tokenizer: square RGB images to a square grid of codes and back. Each level halves the side, so
/// <see cref="Channels"/> has log2(<see cref="DownsamplingFactor"/>) entries, outermost (largest) level first.
/// </summary>
public sealed record TokenizerConfig
{
    /// <summary>Pixels per side of an image.</summary>
    public int ImageSide { get; init; } = 32;

    /// <summary>Pixels per side of the square that one code stands for; a power of two.</summary>
    public int DownsamplingFactor { get; init; } = 4;

    /// <summary>Number of codes K; also the vocabulary of the transformer.</summary>
    public int CodebookSize { get; init; } = 128;

    /// <summary>Components of a code vector.</summary>
    public int CodeWidth { get; init; } = 8;

    /// <summary>Feature channels of each level, outermost first.</summary>
    public IReadOnlyList<int> Channels { get; init; } = [32, 64];

    /// <summary>Residual blocks of each level, outermost first; the decoder mirrors them.</summary>
    public IReadOnlyList<int> BlockCounts { get; init; } = [1, 2];

    /// <summary>Weight of the commitment loss (latents drawn to their codes) against the codebook loss, whose weight is 1.</summary>
    public double CommitmentWeight { get; init; } = 0.25;

    /// <summary>Codes per side of the grid.</summary>
    public int GridSide => ImageSide / DownsamplingFactor;

    /// <summary>Codes per image T.</summary>
    public int CodesPerImage => GridSide * GridSide;

    /// <exception cref="ConfigException">Names every value that cannot work.</exception>
    public void Validate()
    {
        var problems = new List<string>();
        RequirePositive(problems, nameof(ImageSide), ImageSide);
        RequirePositive(problems, nameof(CodebookSize), CodebookSize);
        RequirePositive(problems, nameof(CodeWidth), CodeWidth);
        if (DownsamplingFactor < 2 || !BitOperations.IsPow2(DownsamplingFactor))
        {
            problems.Add($"Tokenizer DownsamplingFactor is {DownsamplingFactor} but must be a power of two, at least 2.");
        }
        else
        {
            var levels = BitOperations.Log2((uint)DownsamplingFactor);
            RequireLevels(problems, nameof(Channels), Channels, levels, smallest: 1);
            RequireLevels(problems, nameof(BlockCounts), BlockCounts, levels, smallest: 0);
            if (ImageSide % DownsamplingFactor != 0)
            {
                problems.Add($"Tokenizer ImageSide {ImageSide} is not divisible by DownsamplingFactor {DownsamplingFactor}.");
            }
        }

        if (!(CommitmentWeight >= 0 && double.IsFinite(CommitmentWeight)))
        {
            problems.Add($"Tokenizer CommitmentWeight is {CommitmentWeight} but must be a finite number, at least 0.");
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

    private static void RequireLevels(List<string> problems, string name, IReadOnlyList<int>? values, int levels, int smallest)
    {
        if (values?.Count != levels)
        {
            problems.Add($"Tokenizer {name} has {values?.Count ?? 0} entries but a downsampling factor of {1 << levels} has {levels} levels.");
        }
        else if (values.Any(v => v < smallest))
        {
            problems.Add($"Tokenizer {name} is [{string.Join(", ", values)}] but every entry must be at least {smallest}.");
        }
    }
}
