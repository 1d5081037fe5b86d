using NextPatch.Core.Configuration;
using NextPatch.Core.Sampling;
using NextPatch.Data.Sources;
using NextPatch.Evaluation.Networks;
using NextPatch.Training.Tokenizer;

namespace NextPatch.Cli.Quickstart;

/// <summary>What a person can choose.</summary>
/// <param name="Output">Folder that receives everything.</param>
/// <param name="Data">A real dataset, or null for drawn shapes.</param>
/// <param name="Minutes">Time to fit the run to, or null for the fixed settings.</param>
/// <param name="PatchLevel">Coarse-to-fine levels; 1 = next-token baseline.</param>
/// <param name="Seed">Seed of everything random.</param>
/// <param name="Compare">Train next-token on the same codes as well.</param>
/// <param name="Text">Captions instead of classes.</param>
internal sealed record QuickstartOptions(
    string Output, string? Data, double? Minutes, int PatchLevel, ulong Seed, bool Compare = false, bool Text = false);

/// <summary>Everything a quickstart computes with; the whole of it is written into the report.</summary>
internal sealed record QuickstartSettings
{
    public required ulong Seed { get; init; }

    /// <summary>A real dataset's path; null = drawn shapes.</summary>
    public string? Data { get; init; }

    /// <summary>Time the run was fitted to; null = the fixed settings.</summary>
    public double? Minutes { get; init; }

    /// <summary>How drawn shapes vary; null with a real dataset.</summary>
    public ShapesOptions? Shapes { get; init; }

    public required ClassifierTrainingConfig Classifier { get; init; }

    public required TokenizerRunConfig TokenizerTraining { get; init; }

    public required GptConfig Model { get; init; }

    public required TrainingConfig Training { get; init; }

    public required SamplingConfig Sampling { get; init; }

    public int SampleCount { get; init; } = 500;

    /// <summary>
    /// The settings that the README's command runs: fixed on seed 1 of the drawn shapes before fresh seeds were reported (docs/results.md).
    /// </summary>
    public static QuickstartSettings Create(QuickstartOptions options)
    {
        var tokenizer = new TokenizerConfig();
        return new QuickstartSettings
        {
            Seed = options.Seed,
            Data = options.Data,
            Minutes = options.Minutes,
            Shapes = options.Data is null ? new ShapesOptions() : null,
            // Real images need longer for the last half percent than it is worth here.
            Classifier = new ClassifierTrainingConfig { Seed = options.Seed, TargetAccuracy = options.Data is null ? 0.995 : 0.987 },
            TokenizerTraining = new TokenizerRunConfig
            {
                Tokenizer = tokenizer,
                Objective = new VqganTrainingConfig
                {
                    LearningRate = 2e-3, Beta2 = 0.99, ClipNorm = 0, EmaDecay = 0, Reconstruction = ReconstructionLoss.Both,
                },
                Steps = 900,
                BatchSize = 16,
                DecayShare = 0.3,
                ContinuousSteps = 60,
                RevivalInterval = 20,
                HasRandomCrops = false,
                HasFlips = false,
                Seed = options.Seed,
                Data = new TokenizerRunData("", 0, 0, 0), // until the images are read
            },
            Model = GptPresets.Get("small") with { VocabularySize = tokenizer.CodebookSize, GridSide = tokenizer.GridSide },
            Training = TrainingRecipes.Get("cpu", GptPresets.Get("small")).Training with { PatchLevel = options.PatchLevel, Seed = options.Seed },
            Sampling = new SamplingConfig { GuidanceScale = 2, Temperature = 0.8 },
        };
    }
}
