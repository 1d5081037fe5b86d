using System.CommandLine;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Evaluation;
using NextPatch.Cli.Planning;
using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Torch.Patches;
using NextPatch.Training.Gpt;

namespace NextPatch.Cli.Training;

/// <summary>Options of <c>train</c> beside those it shares with <c>plan</c>.</summary>
internal sealed class TrainOptions
{
    private const string Uniform = "uniform";
    private const string Power = "power:";
    private const double MostPower = 100; // of the number of codes in a patch, and still a float

    private readonly Option<double?> _learningRate = new("--lr")
    {
        Description = "Learning rate of the constant part. [default: the recipe's]", HelpName = "x",
    };
    private readonly Option<double?> _endLearningRate = new("--end-lr")
    {
        Description = "Learning rate at the end of each stage. [default: the recipe's]", HelpName = "x",
    };
    private readonly Option<double?> _decayShare = new("--decay-share")
    {
        Description = "Share of each stage, at its end, over which the rate falls; with --lr-schedule wsd of the whole run. [default: 0.2]",
        HelpName = "x",
    };
    private readonly Option<double?> _weightDecay = new("--weight-decay")
    {
        Description = "Weight decay of matrices. [default: 0.05]", HelpName = "x",
    };
    private readonly Option<double?> _clipNorm = new("--clip-norm")
    {
        Description = "Largest gradient norm; 0 = no clipping. [default: 1]", HelpName = "x",
    };
    private readonly Option<double?> _emaDecay = new("--ema-decay")
    {
        Description = "Decay of the EMA of the weights; 0 = none. [default: the recipe's]", HelpName = "x",
    };
    private readonly Option<bool> _fixedEma = new("--fixed-ema")
    {
        Description = "Use the published fixed decay from the first step on, instead of one that warms up.",
    };
    private readonly Option<double?> _dropout = new("--dropout")
    {
        Description = "Dropout of tokens, residuals and feed-forward. [default: the preset's]", HelpName = "x",
    };
    private readonly Option<double?> _attentionDropout = new("--attention-dropout")
    {
        Description = "Dropout of attention weights. [default: the recipe's]", HelpName = "x",
    };
    private readonly Option<double?> _dropPath = new("--drop-path")
    {
        Description = "Largest probability of skipping a residual branch; sets residual and feed-forward dropout to 0, as published. [default: 0]",
        HelpName = "x",
    };
    private readonly Option<double?> _classDropout = new("--class-dropout")
    {
        Description = "Share of labels replaced by the null class; 0 = no guidance later. [default: 0.1]", HelpName = "x",
    };
    private readonly Option<string> _grouping = new("--grouping")
    {
        Description = $"How code embeddings become a patch token: {string.Join(", ", PatchGroupings.Names)} (scaled-mean: p times the mean).",
        HelpName = "name",
        DefaultValueFactory = _ => PatchGroupings.Mean,
    };

    private readonly Option<string> _targetWeights = new("--target-weights")
    {
        Description = "How much the codes of a patch count in the loss: uniform, or power:A, the i-th code row by row in proportion to i^-A.",
        HelpName = "uniform|power:A",
        DefaultValueFactory = _ => Uniform,
    };

    private readonly Option<ulong> _seed = new("--seed")
    {
        Description = "Seed of weights, data order and dropout.", HelpName = "s", DefaultValueFactory = _ => 0,
    };

    /// <summary>How processes meet that compute a run together.</summary>
    public RankOptions Ranks { get; } = new();

    /// <summary>Model, recipe, length, patches.</summary>
    public RunSettings Settings { get; } = new(defaultPreset: "small", defaultRecipe: "cpu");

    public Option<string?> Codes { get; } = new("--codes")
    {
        Description = "Folder with codes.npy, labels.npy and dataset.json. Needed, and --output with it, but to resume a run by its folder.",
        HelpName = "dir",
    };

    /// <summary>Features of captions, for text to image.</summary>
    public Option<string[]> TextFeatures { get; } = new("--text-features")
    {
        Description = "Features of the images' captions ('encode-text'), for text to image instead of classes. Several with shares mix captions, as "
            + "published: features-long:0.7 features-short:0.3. The codes must have been encoded with --captions.",
        HelpName = "dir[:share]", AllowMultipleArgumentsPerToken = true,
    };

    /// <summary>Folder, checkpoints, intervals.</summary>
    public RunOptionSet Frame { get; } = new(
        "Folder of the run.", "validations on the held-out images", keepLast: 3, logEvery: 20,
        "Continue a run from its newest checkpoint. With the run's folder no other option is needed: it holds its settings. Without one the run in "
        + "--output is continued with the same options again, or started where there is none.");

    public Option<long?> ExtendTo { get; } = new Option<long?>("--extend-to")
    {
        Description = "With --resume: a later end, in optimiser steps. The last stage goes on; what that does to the learning rate is told.",
        HelpName = "steps",
    }.AtLeast(1L);

    public Option<bool> Json { get; } = new("--json") { Description = "Write the run's result as JSON: losses, cost planned and measured, figures." };

    /// <summary>Options that decide what a run computes.</summary>
    public IReadOnlyList<Option> Deciding =>
    [
        .. Settings.All, _seed, InitFrom, _grouping, _targetWeights, Step, Precision, _learningRate, _endLearningRate, _decayShare, _weightDecay,
        _clipNorm, _emaDecay, _fixedEma, _dropout, _attentionDropout, _dropPath, _classDropout,
    ];

    public Option<string?> InitFrom { get; } = new("--init-from")
    {
        Description = "Start from these weights: a run (its newest checkpoint), a checkpoint or Hugging Face folder, or a file (.pt, .pth, .th, "
            + ".bin, .ckpt, .safetensors, .safetensors.index.json, .npz); the number of classes may differ.", HelpName = "path",
    };

    public Option<int> ValidateImages { get; } = new Option<int>("--validate-images")
    {
        Description = "Held-out images of a validation on the way, spread evenly; 0 = all. After the last step all are judged.", HelpName = "n",
        DefaultValueFactory = _ => GptRunOptions.DefaultValidationImages,
    }.AtLeast(0);

    public Option<long> SampleEvery { get; } = new Option<long>("--sample-every")
    {
        Description = "Steps between sample grids in samples/ (needs the tokenizer); 0 = none.", HelpName = "n", DefaultValueFactory = _ => 0,
    }.AtLeast(0L);

    public Option<string?> Tokenizer { get; } = new("--tokenizer")
    {
        Description = "Tokenizer folder for sample grids. [default: the one that the codes remember, or tokenizer/ beside them]", HelpName = "dir",
    };

    public Option<long> EvaluateEvery { get; } = new Option<long>("--evaluate-every")
    {
        Description = "Steps between measurements of images that the EMA weights draw, against --reference (needs the tokenizer); 0 = none.",
        HelpName = "n", DefaultValueFactory = _ => 0,
    }.AtLeast(0L);

    public Option<int> EvaluateCount { get; } = new("--evaluate-count")
    {
        Description = "Images to draw for it, classes in turn.", HelpName = "n", DefaultValueFactory = _ => 2048,
    };

    /// <summary>What they are measured against, and how.</summary>
    public MeasureOptions Measure { get; } = new(isRequired: false);

    public Option<string> Precision { get; } = PrecisionChoice.CreateOption();

    public Option<string> Step { get; } = StepChoice.CreateOption();

    public Option<string> Device { get; } = DeviceOption.Create(
        "Others than the processor take the reference step, and their losses are equal within rounding, not bit for bit.");

    public Option<bool> Tf32 { get; } = new("--tf32")
    {
        Description = "On an NVIDIA GPU: fp32 products round their factors to TF32 (10 bits behind the point), which is several times as fast.",
    };

    public Option<bool> Recompute { get; } = new("--recompute")
    {
        Description = "Compute activations again in the backward pass instead of keeping them: the same numbers, less memory, more time.",
    };

    public void AddTo(Command command)
    {
        command.Add(Codes);
        command.Add(TextFeatures);
        Frame.AddTo(command);
        Settings.AddTo(command);
        Measure.AddTo(command);
        Ranks.AddTo(command);
        foreach (var option in (Option[])[
            ExtendTo, Json, _seed, InitFrom, ValidateImages, SampleEvery, EvaluateEvery, EvaluateCount, Tokenizer, _grouping, _targetWeights, Step,
            Precision, Device, Tf32, Recompute, _learningRate, _endLearningRate, _decayShare, _weightDecay, _clipNorm, _emaDecay, _fixedEma, _dropout,
            _attentionDropout, _dropPath, _classDropout])
        {
            command.Add(option);
        }
    }

    /// <summary>Recipe, data and options together.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="fitToData">Sets grid, vocabulary and classes.</param>
    /// <exception cref="ConfigException">Settings cannot work; every problem is listed.</exception>
    public (GptConfig Model, TrainingConfig Training) Resolve(ParseResult parsed, Func<GptConfig, GptConfig> fitToData)
    {
        var (model, training) = Settings.Resolve(parsed, fitToData);
        var dropPath = parsed.GetValue(_dropPath) ?? model.DropPath;
        var dropout = parsed.GetValue(_dropout);
        model = model with
        {
            TokenDropout = dropout ?? model.TokenDropout,
            ResidualDropout = dropPath > 0 ? 0 : dropout ?? model.ResidualDropout,
            FfnDropout = dropPath > 0 ? 0 : dropout ?? model.FfnDropout,
            AttentionDropout = parsed.GetValue(_attentionDropout) ?? model.AttentionDropout,
            DropPath = dropPath,
            ClassDropout = parsed.GetValue(_classDropout) ?? model.ClassDropout,
        };
        training = training with
        {
            Seed = parsed.GetRequiredValue(_seed),
            LearningRate = parsed.GetValue(_learningRate) ?? training.LearningRate,
            EndLearningRate = parsed.GetValue(_endLearningRate) ?? training.EndLearningRate,
            DecayRatio = parsed.GetValue(_decayShare) ?? training.DecayRatio,
            WeightDecay = parsed.GetValue(_weightDecay) ?? training.WeightDecay,
            ClipNorm = parsed.GetValue(_clipNorm) ?? training.ClipNorm,
            EmaDecay = parsed.GetValue(_emaDecay) ?? training.EmaDecay,
            EmaWarmup = !parsed.GetValue(_fixedEma),
            Grouping = parsed.GetRequiredValue(_grouping),
            TargetPower = TargetPower(parsed.GetRequiredValue(_targetWeights)),
        };
        return (model.Validated(), training.Validated(model));
    }

    /// <summary>Folders of features with their shares: what follows the last colon, where it is a number.</summary>
    public IReadOnlyList<TextFeatureSet> ReadTextFeatures(ParseResult parsed) => [.. (parsed.GetValue(TextFeatures) ?? []).Select(text =>
    {
        var colon = text.LastIndexOf(':');
        return colon > 0 && StrictNumber.TryParse(text.AsSpan(colon + 1), out double share)
            ? new TextFeatureSet(text[..colon], share)
            : new TextFeatureSet(text);
    })];

    private static double TargetPower(string text)
    {
        if (text == Uniform)
        {
            return 0;
        }

        var isPower = text.StartsWith(Power, StringComparison.Ordinal);
        return isPower && StrictNumber.TryParse(text.AsSpan(Power.Length), out double power) && Math.Abs(power) <= MostPower
            ? power
            : throw new ConfigException($"--target-weights '{text}' is neither uniform nor power:A with a number A; write it like power:0.5.");
    }
}
