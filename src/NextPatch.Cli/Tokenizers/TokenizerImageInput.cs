using System.CommandLine;
using NextPatch.Core;
using NextPatch.Core.Generation;
using NextPatch.Data.Datasets;
using NextPatch.Data.Sources;
using NextPatch.Models;

namespace NextPatch.Cli.Tokenizers;

/// <summary>Which images go through which tokenizer: options of <c>tokenizer eval</c> and <c>tokenizer reconstruct</c>.</summary>
internal sealed class TokenizerImageInput
{
    private readonly Option<int?> _count = new("--count")
    {
        Description = "Only so many images, evenly spread over the dataset. [default: all]", HelpName = "n",
    };
    private readonly Option<int?> _imageSize = new("--image-size")
    {
        Description = "Side of the centre crops in pixels. [default: the tokenizer's; 256 for a published file]", HelpName = "px",
    };

    private readonly Option<string?> _part = new Option<string?>("--part")
    {
        Description = "Which part of the dataset. [default: test, or val, where there is one]", HelpName = "train|test",
    }.AcceptOnlyFromAmong("train", "test");

    private readonly Option<OnBadImage> _onError = new("--on-error")
    {
        Description = "What to do with an image that cannot be read.", HelpName = "skip|fail", DefaultValueFactory = _ => OnBadImage.Fail,
    };

    /// <param name="isRequired">Whether the tokenizer must be named: codes remember theirs.</param>
    public TokenizerImageInput(bool isRequired = true)
        => Tokenizer = new("--tokenizer")
        {
            Description = "Tokenizer folder, or a weights file in the published layout (vq_ds16_c2i.pt)."
                + (isRequired ? "" : " [default: of codes the one that they remember]"),
            HelpName = "path", Required = isRequired,
        };

    public Option<string?> Tokenizer { get; }

    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[Tokenizer, _imageSize, _part, _count, _onError])
        {
            command.Add(option);
        }
    }

    public OnBadImage OnErrorOf(ParseResult parsed) => parsed.GetValue(_onError);

    /// <summary>The part's name, or null where the dataset is one set of images.</summary>
    public string? PartOf(ParseResult parsed, DatasetParts parts) => parts.Test is null ? null : parsed.GetValue(_part) ?? "test";

    /// <exception cref="NextPatchException">The dataset has no such part.</exception>
    public ImageSource Choose(ParseResult parsed, DatasetParts parts)
    {
        var source = parsed.GetValue(_part) switch
        {
            "test" => parts.Test
                ?? throw new NextPatchException($"'{parts.Train.Name}' has no test part; it is one set of images. Leave --part out."),
            "train" => parts.Train,
            _ => parts.Test ?? parts.Train,
        };
        return CountOf(parsed) is { } count ? SpreadImages.Create(source, count) : source;
    }

    /// <exception cref="ConfigException">Fewer than one.</exception>
    public int? CountOf(ParseResult parsed)
        => parsed.GetValue(_count) is { } count && count < 1
            ? throw new ConfigException($"--count {count} must be at least 1.")
            : parsed.GetValue(_count);

    /// <summary>The tokenizer that is named.</summary>
    /// <exception cref="ConfigException">None is.</exception>
    public string PathOf(ParseResult parsed) => parsed.GetValue(Tokenizer) ?? throw new ConfigException("Name the tokenizer with --tokenizer.");

    /// <summary>Opens a tokenizer at the size that is asked for.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="path">Where it lies.</param>
    /// <param name="gridSide">Codes per side, where codes are given instead of images.</param>
    /// <param name="backend">What computes; null: the engine in C#.</param>
    /// <exception cref="ConfigException">The size does not fit the tokenizer.</exception>
    public IImageTokenizer Load(ParseResult parsed, string path, int? gridSide = null, IComputeBackend? backend = null)
        => TokenizerSource.Open(ComputeBackends.Find(backend), path, gridSide, parsed.GetValue(_imageSize));
}
