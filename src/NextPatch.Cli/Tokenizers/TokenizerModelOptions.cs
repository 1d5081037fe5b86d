using System.CommandLine;
using System.Numerics;
using NextPatch.Core;
using NextPatch.Core.Configuration;

namespace NextPatch.Cli.Tokenizers;

/// <summary>Options that say what network a tokenizer is.</summary>
internal sealed class TokenizerModelOptions
{
    private const string Small = "small";

    // How the width grows from level to level where the command line does not say.
    private const int MostMultiples = 4;

    private readonly Option<string> _preset = new("--preset")
    {
        Description = "Sizes to start from: small (strided convolutions, few blocks, for small images), VQ-16 or VQ-8 (the published VQGAN, 72 and "
            + "70 M parameters).", HelpName = "name", DefaultValueFactory = _ => Small,
    };
    private readonly Option<int> _imageSize = new("--image-size")
    {
        Description = "Width and height of the images in pixels.", HelpName = "n", Required = true,
    };
    private readonly Option<int?> _downsample = new("--downsample")
    {
        Description = "Pixels per side of the square that one code stands for, a power of two. [default: the preset's]", HelpName = "n",
    };
    private readonly Option<int?> _channels = new("--channels")
    {
        Description = "Channels of the outermost level. [default: the preset's]", HelpName = "n",
    };
    private readonly Option<string?> _multipliers = new("--multipliers")
    {
        Description = "Channels of each level as multiples of --channels, outermost first: 1,2,4. [default: the preset's, or doubling up to 4]",
        HelpName = "n,n,...",
    };
    private readonly Option<int?> _baseChannels = new("--base-channels")
    {
        Description = "VQGAN only: channels of the encoder's first convolution, where they are not the outermost level's. [default: the preset's]",
        HelpName = "n",
    };

    private readonly Option<string?> _blocks = new("--blocks")
    {
        Description = "Residual blocks of each level, outermost first, or one number for all. [default: the preset's]", HelpName = "n,n,...",
    };
    private readonly Option<int?> _codebookSize = new("--codebook-size")
    {
        Description = "Codes K: the vocabulary of the transformer. [default: the preset's]", HelpName = "k",
    };
    private readonly Option<int?> _codebookDim = new("--codebook-dim") { Description = "Components of a code vector. [default: 8]", HelpName = "n" };
    private readonly Option<int?> _latentChannels = new("--latent-channels")
    {
        Description = "VQGAN only: channels between encoder and codebook. [default: 256]", HelpName = "n",
    };
    private readonly Option<bool> _rawCodes = new("--raw-codes") { Description = "Compare latents and codes as they are, not on the unit sphere." };
    private readonly Option<double?> _commitment = new("--commitment-weight")
    {
        Description = "Weight of the commitment loss against the codebook loss. [default: 0.25]", HelpName = "x",
    };
    private readonly Option<double?> _entropy = new("--entropy-weight")
    {
        Description = "Weight of the loss that makes the codebook be used evenly; costs time with large codebooks. [default: 0]", HelpName = "x",
    };

    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[
            _preset, _imageSize, _downsample, _channels, _multipliers, _baseChannels, _blocks, _codebookSize, _codebookDim, _latentChannels,
            _rawCodes,
            _commitment, _entropy])
        {
            command.Add(option);
        }
    }

    public int ImageSize(ParseResult parsed) => parsed.GetRequiredValue(_imageSize);

    /// <param name="parsed">The command line.</param>
    /// <param name="given">Sizes of the weights that training starts from; null = the preset's.</param>
    /// <exception cref="ConfigException">Sizes cannot work; every problem is listed.</exception>
    public TokenizerConfig Resolve(ParseResult parsed, TokenizerConfig? given)
    {
        var preset = parsed.GetRequiredValue(_preset);
        var basis = given ?? (string.Equals(preset, Small, StringComparison.OrdinalIgnoreCase) ? new TokenizerConfig() : Published(preset));
        var factor = parsed.GetValue(_downsample) ?? basis.DownsamplingFactor;
        var levels = BitOperations.Log2((uint)Math.Max(factor, 1)) + (basis.Architecture == TokenizerArchitecture.Vqgan ? 1 : 0);
        var channels = Channels(parsed, basis, levels);
        var baseChannels = parsed.GetValue(_baseChannels) ?? basis.BaseChannels;
        var config = basis with
        {
            ImageSide = ImageSize(parsed),
            DownsamplingFactor = factor,
            Channels = channels,
            BaseChannels = baseChannels == channels[0] ? null : baseChannels,
            BlockCounts = Blocks(parsed, basis, levels),
            CodebookSize = parsed.GetValue(_codebookSize) ?? basis.CodebookSize,
            CodeWidth = parsed.GetValue(_codebookDim) ?? basis.CodeWidth,
            LatentChannels = parsed.GetValue(_latentChannels) ?? basis.LatentChannels,
            NormalizeCodes = basis.NormalizeCodes && !parsed.GetValue(_rawCodes),
            CommitmentWeight = parsed.GetValue(_commitment) ?? basis.CommitmentWeight,
            EntropyWeight = parsed.GetValue(_entropy) ?? basis.EntropyWeight,
        };
        config.Validate();
        return config;
    }

    private static TokenizerConfig Published(string preset) => TokenizerPresets.Names.Contains(preset, StringComparer.OrdinalIgnoreCase)
        ? TokenizerPresets.Get(preset)
        : throw new ConfigException($"There is no tokenizer preset '{preset}'. Presets: {Small}, {string.Join(", ", TokenizerPresets.Names)}.");

    private IReadOnlyList<int> Channels(ParseResult parsed, TokenizerConfig basis, int levels)
    {
        var first = parsed.GetValue(_channels);
        if (parsed.GetValue(_multipliers) is { } text)
        {
            return [.. Numbers("--multipliers", text).Select(m => m * (first ?? basis.Channels[0]))];
        }

        return levels == basis.Channels.Count
            ? [.. basis.Channels.Select(c => c * (first ?? basis.Channels[0]) / basis.Channels[0])]
            : [.. Enumerable.Range(0, levels).Select(level => Math.Min(1 << level, MostMultiples) * (first ?? basis.Channels[0]))];
    }

    private IReadOnlyList<int> Blocks(ParseResult parsed, TokenizerConfig basis, int levels)
    {
        if (parsed.GetValue(_blocks) is { } text)
        {
            var numbers = Numbers("--blocks", text);
            return numbers.Count == 1 ? [.. Enumerable.Repeat(numbers[0], levels)] : numbers;
        }

        return levels == basis.BlockCounts.Count ? basis.BlockCounts
            : basis.Architecture == TokenizerArchitecture.Vqgan ? [.. Enumerable.Repeat(basis.BlockCounts[0], levels)]
            : [.. Enumerable.Range(0, levels).Select(level => level == levels - 1 ? basis.BlockCounts[^1] : basis.BlockCounts[0])];
    }

    private static List<int> Numbers(string option, string text)
    {
        var numbers = new List<int>();
        foreach (var part in text.Split(',', StringSplitOptions.TrimEntries))
        {
            numbers.Add(StrictNumber.TryParse(part, out int number) && number is >= 0 and < 1 << 16 ? number : throw new ConfigException(
                $"{option} is '{text}' but must be whole numbers with commas between them, like 1,2,4."));
        }

        return numbers;
    }
}
