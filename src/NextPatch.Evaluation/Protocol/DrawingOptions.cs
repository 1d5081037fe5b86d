using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Generation;
using NextPatch.Core.Sampling;
using NextPatch.Sampling;

namespace NextPatch.Evaluation.Protocol;

/// <summary>How samples come out of a model that is evaluated directly.</summary>
internal sealed record DrawingOptions
{
    /// <summary>Tokenizer folder or file; null = beside the model.</summary>
    public string? Tokenizer { get; init; }

    public WeightsKind Weights { get; init; } = WeightsKind.Auto;

    /// <summary>What is drawn; null where it is not given.</summary>
    public ImageRequest? Request { get; init; }

    /// <summary>What draws; null: what suits.</summary>
    public IComputeBackend? Backend { get; init; }

    /// <summary>Loads a model and its tokenizer.</summary>
    /// <exception cref="NextPatchException">Missing or damaged, or there is no tokenizer.</exception>
    public SampleModel Load(string path)
    {
        var model = SampleModel.Load(path, Tokenizer, Weights, backend: Backend);
        if (model.Tokenizer is not null)
        {
            return model;
        }

        model.Dispose();
        throw new NextPatchException($"'{path}' draws codes, and no tokenizer lies beside it to turn them into images; name one with Tokenizer.")
        {
            Settings = ["Tokenizer"],
        };
    }

    /// <summary>The images that a model draws by these options.</summary>
    /// <exception cref="ConfigException">No count, or rules that do not suit the model.</exception>
    public ModelImageSet Draw(SampleModel model, string name, SamplingConfig? sampling = null, IDisposable? owned = null)
    {
        var request = (Request ?? throw new ConfigException(
            "Count is missing: how many images is the model to draw? 50000 is what papers report; a few thousand will do to compare.")
        {
            Settings = ["Count"],
        }).For(model.Config, prompts => model.Encode(prompts, onNote: null));
        request = request with { Sampling = sampling ?? request.Sampling };
        return new ModelImageSet(model.Engine, model.Tokenizer!, request, owned)
        {
            Name = name, Layout = "model", Drawing = new Drawing(request.Seed, request.Sampling, model.Hash, model.KindName),
        };
    }
}
