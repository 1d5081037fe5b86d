using NextPatch.Core.Configuration;
using NextPatch.Training.Gpt;

namespace NextPatch.Training;

/// <summary>A run of <see cref="GptTraining"/>: data, model, settings.</summary>
public sealed record GptTrainingRequest
{
    /// <summary>Folder with codes.npy, labels.npy and dataset.json, as <c>CodeExtractor</c> writes it.</summary>
    public required string Codes { get; init; }

    /// <summary>The model, such as a preset of <see cref="GptPresets"/>.</summary>
    public required GptConfig Model { get; init; }

    /// <summary>
    /// Folders of features of the images' captions, for text to image, each with its share (short and long captions); none: classes condition the
    /// model. The codes must have been encoded with the same captions. Sets <see cref="GptConfig.Text"/>.
    /// </summary>
    public IReadOnlyList<TextFeatureSet> TextFeatures { get; init; } = [];

    /// <summary>Whether grid, vocabulary and classes of the model become those of the codes; else they must suit them.</summary>
    public bool FitsToCodes { get; init; } = true;

    /// <summary>Length, batch, patches, rates, seed.</summary>
    public required TrainingConfig Training { get; init; }

    /// <summary>Folder of the run, intervals, what is measured on the way.</summary>
    public required GptRunOptions Run { get; init; }

    /// <summary>
    /// Weights to start from: a run (its newest checkpoint), a checkpoint or Hugging Face folder, or a file; the number of classes may differ.
    /// Null: drawn from the seed.
    /// </summary>
    public string? InitialWeights { get; init; }

    /// <summary>
    /// Tokenizer folder for the sample grids of <see cref="GptRunOptions.SampleEvery"/>; null = <c>tokenizer/</c> beside the codes.
    /// </summary>
    public string? Tokenizer { get; init; }

    /// <summary>Receives the planned cost before the first step.</summary>
    public Action<TrainingCost>? OnPlanned { get; init; }
}
