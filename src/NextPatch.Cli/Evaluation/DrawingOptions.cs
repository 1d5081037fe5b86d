using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Core.Sampling;
using NextPatch.Evaluation.Protocol;
using NextPatch.Models;
using NextPatch.Sampling;

namespace NextPatch.Cli.Evaluation;

/// <summary>How samples come out of a model that is evaluated directly.</summary>
internal sealed record DrawingOptions
{
    /// <summary>Tokenizer folder or file; null = beside the model.</summary>
    public string? Tokenizer { get; init; }

    public WeightsKind Weights { get; init; } = WeightsKind.Auto;

    /// <summary>Number of images; null where it is not given.</summary>
    public int? Count { get; init; }

    public ulong Seed { get; init; }

    /// <summary>Whether classes are drawn; else they come in turn.</summary>
    public bool HasRandomClasses { get; init; }

    /// <summary>Rules for a model, which may lack a null class.</summary>
    public required Func<GptConfig, SamplingConfig> Sampling { get; init; }

    /// <summary>Loads a model and its tokenizer.</summary>
    /// <exception cref="NextPatchException">Missing or damaged, or there is no tokenizer.</exception>
    public SampleModel Load(string path)
    {
        var model = SampleModel.Load(path, Tokenizer, Weights);
        if (model.Tokenizer is not null)
        {
            return model;
        }

        model.Dispose();
        throw new NextPatchException($"'{path}' draws codes, and no tokenizer lies beside it to turn them into images; name one with --tokenizer.");
    }

    /// <summary>The images that a model draws by these options.</summary>
    /// <exception cref="ConfigException">No count, or rules that do not suit the model.</exception>
    public ModelImageSet Draw(SampleModel model, string name, SamplingConfig? sampling = null, IDisposable? owned = null)
    {
        var request = new GenerationRequest
        {
            Labels = ClassChoice.Labels([ClassChoice.All], Count ?? throw new ConfigException("--count is missing: how many images is the model to draw? 50000 is what papers report; a few thousand will do to compare."), model.Config, randomSeed: HasRandomClasses ? Seed : null),
            Seed = Seed,
            Sampling = sampling ?? Sampling(model.Config.Model),
        };
        return new ModelImageSet(model.Engine, model.Tokenizer!, request, owned)
        {
            Name = name, Layout = "model", Drawing = new Drawing(request.Seed, request.Sampling, model.Hash, model.KindName),
        };
    }
}
