using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Generation;
using NextPatch.Evaluation.Networks;
using NextPatch.Evaluation.Protocol;
using NextPatch.Torch;
using NextPatch.Torch.Devices;

namespace NextPatch.Evaluation;

/// <summary>By which protocol <see cref="ImageEvaluator"/> measures. The defaults are those of <c>nextpatch evaluate</c>.</summary>
public sealed record ImageEvaluationOptions
{
    /// <summary>What is computed; null: all that network and reference allow.</summary>
    public IReadOnlySet<EvaluationMetric>? Metrics { get; init; }

    /// <summary>
    /// Feature network: inception, resnet20 (or another depth), mobilenet-v1-0.25-128, squeezenet-1.1; null: what <see cref="Weights"/> holds.
    /// </summary>
    public string? Network { get; init; }

    /// <summary>
    /// Its weights: .safetensors, .pt, .pth, .th; null: for inception those in the cache folder, for mobilenet-v1-0.25-128 those built in, and with
    /// no network named inception's where they are there.
    /// </summary>
    public string? Weights { get; init; }

    /// <summary>
    /// How images come to the network's size; null: <see cref="ResizeProtocol.Adm"/> for inception, else <see cref="ResizeProtocol.Clean"/>.
    /// </summary>
    public ResizeProtocol? Resize { get; init; }

    /// <summary>Side of the squares that images of datasets are cropped to, as training does; null: as they are, which must be one size.</summary>
    public int? ImageSize { get; init; }

    /// <summary>train or test, of samples that are a dataset or codes; null: the only one, or train.</summary>
    public string? SamplesPart { get; init; }

    /// <summary>The same of the reference, or of a file of statistics with <c>train_mu</c> and the like.</summary>
    public string? ReferencePart { get; init; }

    /// <summary>Seed of the kernel distance's subsets.</summary>
    public ulong Seed { get; init; }

    /// <summary>What a model draws where it is measured itself. There it must be set: 50,000 images are what papers report.</summary>
    public ImageRequest? Drawing { get; init; }

    /// <summary>Tokenizer folder or file of a model or of codes; null: <c>tokenizer/</c> beside them.</summary>
    public string? Tokenizer { get; init; }

    /// <summary>Which weights of a model; by default their average over training (EMA) where there is one.</summary>
    public WeightsKind ModelWeights { get; init; } = WeightsKind.Auto;

    /// <summary>What computes features, and draws where a model is measured: <c>cpu</c>, <c>cuda</c>, <c>cuda:1</c>, <c>mps</c>.</summary>
    public string Device { get; init; } = "cpu";

    /// <summary>Folder of features that processes computed in parts (<see cref="Shard"/>); null: none, all are computed here.</summary>
    internal string? Features { get; init; }

    /// <summary>
    /// Which part of the features this process computes and leaves in <see cref="Features"/>, instead of measuring; null: it measures.
    /// </summary>
    internal Shard? Shard { get; init; }

    /// <summary>Receives sentences for the person who waits.</summary>
    public Action<string>? OnNote { get; init; }

    /// <summary>How a model draws.</summary>
    internal DrawingOptions ForModels => new() { Tokenizer = Tokenizer, Weights = ModelWeights, Request = Drawing, Backend = Backend };

    /// <summary>Features of <see cref="ImageRequest.Prompts"/> of <see cref="Drawing"/>, where no text encoder is at hand.</summary>
    internal IReadOnlyList<PromptFeatures>? PromptFeatures { get; init; }

    /// <summary>What draws and decodes; null: what suits the processor.</summary>
    internal IComputeBackend? Backend => TorchDevices.IsCpu(Device) ? null : new TorchBackend(Device);

    /// <exception cref="NextPatchException">Unknown, missing, damaged or other weights.</exception>
    internal IFeatureNetwork OpenNetwork()
    {
        var device = TorchDevices.Open(Device);
        var network = FeatureNetworks.Open(Network, Weights, Resize);
        if (network is FeatureNetwork moved)
        {
            moved.Device = device;
        }

        return network;
    }
}
