using System.CommandLine;
using NextPatch.Core;
using NextPatch.Evaluation;
using NextPatch.Evaluation.Networks;
using NextPatch.Evaluation.Protocol;

namespace NextPatch.Cli.Evaluation;

/// <summary>The options that say what images are measured against, and in which features.</summary>
internal sealed class MeasureOptions
{
    private readonly Option<string?> _referencePart = new("--reference-part")
    {
        Description = "Part of a reference dataset, or of a file of statistics with train_mu and the like. [default: the only one, or train]",
        HelpName = "train|test",
    };
    private readonly Option<string?> _network = new("--network")
    {
        Description = "Features: inception, resnet20 (or another depth), mobilenet-v1-0.25-128, squeezenet-1.1. [default: what --weights holds; "
            + "without --weights inception where its weights are in the cache folder, else mobilenet-v1-0.25-128, which is built in]",
        HelpName = "name",
    };
    private readonly Option<string?> _weights = new("--weights")
    {
        Description = "Weights of the feature network: .safetensors, .pt, .pth, .th. [default: for inception those in the cache folder "
            + "(nextpatch fetch inception), for mobilenet-v1-0.25-128 those built in]",
        HelpName = "file",
    };
    private readonly Option<string?> _resize = CreateResize();
    private readonly Option<string?> _metrics = new("--metrics")
    {
        Description = "fd, fid, sfid, is, precision, recall, kid, separated by commas. [default: all that network and reference allow]",
        HelpName = "list",
    };
    private readonly Option<int?> _imageSize = new("--image-size")
    {
        Description = "Crop images of datasets to squares of this side, as training does. [default: as they are; they must have one size]",
        HelpName = "px",
    };

    /// <param name="isRequired">Whether the command does nothing without a reference.</param>
    public MeasureOptions(bool isRequired)
        => Reference = new("--reference")
        {
            Description = "What samples are measured against: an npz of images or statistics (ADM), statistics written by --save-statistics, a "
                + "folder, an archive or another dataset.", HelpName = "path", Required = isRequired,
        };

    public Option<string?> Reference { get; }

    /// <summary>The option that names a <see cref="ResizeProtocol"/>.</summary>
    public static Option<string?> CreateResize()
    {
        var option = new Option<string?>("--resize")
        {
            Description = "How images come to the network's size: adm (the published evaluator), clean (clean-fid), legacy (pytorch-fid). "
                + "[default: adm for inception, else clean]", HelpName = "adm|clean|legacy",
        };
        option.AcceptOnlyFromAmong("adm", "clean", "legacy");
        return option;
    }

    /// <summary>What it says; null where it is not given.</summary>
    public static ResizeProtocol? Resize(ParseResult parsed, Option<string?> option)
        => parsed.GetValue(option) is { } name ? Enum.Parse<ResizeProtocol>(name, ignoreCase: true) : null;

    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[Reference, _referencePart, _network, _weights, _resize, _metrics, _imageSize])
        {
            command.Add(option);
        }
    }

    /// <summary>What the command line says of them.</summary>
    public ImageEvaluationOptions Read(ParseResult parsed) => new()
    {
        ReferencePart = parsed.GetValue(_referencePart),
        Network = parsed.GetValue(_network),
        Weights = parsed.GetValue(_weights),
        Resize = Resize(parsed, _resize),
        Metrics = MetricChoice.Parse(parsed.GetValue(_metrics)),
        ImageSize = parsed.GetValue(_imageSize) is var side && side is null or > 0
            ? side
            : throw new ConfigException($"--image-size {side} must be at least 1."),
    };
}
