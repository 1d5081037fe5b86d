using System.CommandLine;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Configuration;
using NextPatch.Cli.Training;
using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Data.Sources;
using NextPatch.Torch.Adversarial;
using NextPatch.Torch.Tokenizer;
using NextPatch.Training.Tokenizer;

namespace NextPatch.Cli.Tokenizers;

/// <summary>Options of <c>tokenizer train</c> beside those of the network.</summary>
internal sealed class TokenizerTrainOptions
{
    private const int DefaultSteps = 5000;
    private const int MostSteps = 1_000_000_000;

    private readonly Option<int?> _steps = new("--steps") { Description = "Optimiser steps. [default: 5000]", HelpName = "n" };
    private readonly Option<double?> _epochs = new("--epochs")
    {
        Description = "Passes over the training images, instead of --steps.", HelpName = "x",
    };
    private readonly Option<int> _batchSize = new("--batch-size") { Description = "Images per step.", HelpName = "n", DefaultValueFactory = _ => 32 };
    private readonly Option<double> _learningRate = new("--lr")
    {
        Description = "Learning rate of the constant part, of both networks; published: 1e-4 at batches of 128.", HelpName = "x",
        DefaultValueFactory = _ => 1e-3,
    };
    private readonly Option<int?> _warmup = new("--warmup-steps")
    {
        Description = "Steps over which the rate rises. [default: a hundredth, at most 200]", HelpName = "n",
    };
    private readonly Option<double> _decay = new("--decay-share")
    {
        Description = "Share of the steps, at the end, over which the rate falls to zero; codes are revived only before.", HelpName = "x",
        DefaultValueFactory = _ => 0.3,
    };
    private readonly Option<double> _beta2 = new Option<double>("--beta2")
    {
        Description = "Adam's second beta; the first is 0.9.", HelpName = "x", DefaultValueFactory = _ => 0.95,
    }.AtLeast(0.0);
    private readonly Option<double> _clipNorm = new("--clip-norm")
    {
        Description = "Largest gradient norm of each network; 0 = no clipping.", HelpName = "x", DefaultValueFactory = _ => 1,
    };
    private readonly Option<double> _emaDecay = new("--ema-decay")
    {
        Description = "Decay of the EMA of the weights, which is judged and left in the folder; 0 = none.", HelpName = "x",
        DefaultValueFactory = _ => 0.999,
    };
    private readonly Option<bool> _fixedEma = new("--fixed-ema")
    {
        Description = "Use the published fixed decay from the first step on, instead of one that warms up.",
    };
    private readonly Option<string> _reconstruction = new Option<string>("--reconstruction")
    {
        Description = "How pixels are compared; both is their sum.", HelpName = "l1|l2|both", DefaultValueFactory = _ => "both",
    }.AcceptOnlyFromAmong("l1", "l2", "both");
    private readonly Option<double> _perceptualWeight = new("--perceptual-weight")
    {
        Description = "Weight of the perceptual loss.", HelpName = "x", DefaultValueFactory = _ => 1,
    };
    private readonly Option<string> _discriminator = new Option<string>("--discriminator")
    {
        Description = "Discriminator beside the losses: a network that learns to tell reconstructions from images.",
        HelpName = "none|patchgan|stylegan", DefaultValueFactory = _ => "none",
    }.AcceptOnlyFromAmong("none", "patchgan", "stylegan");
    private readonly Option<string> _discriminatorLoss = new Option<string>("--discriminator-loss")
    {
        Description = "Loss of the discriminator.", HelpName = "hinge|vanilla|non-saturating", DefaultValueFactory = _ => "hinge",
    }.AcceptOnlyFromAmong("hinge", "vanilla", "non-saturating");
    private readonly Option<string> _generatorLoss = new Option<string>("--generator-loss")
    {
        Description = "Loss that the tokenizer gets from it.", HelpName = "hinge|non-saturating", DefaultValueFactory = _ => "hinge",
    }.AcceptOnlyFromAmong("hinge", "non-saturating");
    private readonly Option<long?> _discriminatorStart = new("--discriminator-start")
    {
        Description = "First step, counted from 1, in which it takes part; published: 20000. [default: half of the steps]", HelpName = "n",
    };
    private readonly Option<double> _discriminatorWeight = new("--discriminator-weight")
    {
        Description = "Weight of the adversarial losses.", HelpName = "x", DefaultValueFactory = _ => 0.5,
    };
    private readonly Option<bool> _adaptive = new("--adaptive-weight")
    {
        Description = "Scale the adversarial loss so that it pulls at the last layer as hard as the reconstruction.",
    };
    private readonly Option<int?> _continuous = new("--continuous-steps")
    {
        Description = "First steps without quantisation; the codebook then starts at k-means centres of the latents. [default: a twentieth, at "
            + "most 300; 0 with --init-from]", HelpName = "n",
    };
    private readonly Option<int> _revive = new("--revive-every")
    {
        Description = "Steps between revivals of dead codes, those that no latent has chosen since the last one: they move onto latents; 0 = never.",
        HelpName = "n", DefaultValueFactory = _ => 20,
    };
    private readonly Option<bool> _perturb = new("--perturb")
    {
        Description = "Let the decoder see some codes replaced by neighbours, so that it learns to live with a generator's mistakes (RobustTok).",
    };
    private readonly Option<double> _perturbImages = new("--perturb-images")
    {
        Description = "Probability that an image is perturbed (beta).", HelpName = "x", DefaultValueFactory = _ => 0.1,
    };
    private readonly Option<double> _perturbCodes = new("--perturb-codes")
    {
        Description = "Probability that a code of such an image is drawn anew (alpha).", HelpName = "x", DefaultValueFactory = _ => 1,
    };
    private readonly Option<int> _perturbNeighbours = new Option<int>("--perturb-neighbours")
    {
        Description = "How many nearest codes it is drawn from (delta).", HelpName = "n", DefaultValueFactory = _ => 100,
    }.AtLeast(1);
    private readonly Option<double> _perturbEnd = new("--perturb-end")
    {
        Description = "What is left of both after annealing, from a fifth to three fifths of the steps; 1 = no annealing.", HelpName = "x",
        DefaultValueFactory = _ => 0.5,
    };
    private readonly Option<bool> _centreCrops = new("--centre-crops") { Description = "Take the centre of each image instead of random squares." };
    private readonly Option<bool> _noFlips = new("--no-flips") { Description = "Do not mirror every other image." };
    private readonly Option<double> _heldOut = new Option<double>("--held-out")
    {
        Description = "Share of each class that is kept for judging where the data brings no test part.", HelpName = "x",
        DefaultValueFactory = _ => 0.05,
    }.AtLeast(0.0);
    private readonly Option<int> _judged = new Option<int>("--judged")
    {
        Description = "Held-out images that are judged, at most.", HelpName = "n", DefaultValueFactory = _ => 500,
    }.AtLeast(0);
    private readonly Option<OnBadImage> _onError = new("--on-error")
    {
        Description = "What to do with an image that cannot be read: stop, or take the next one in its place.", HelpName = "skip|fail",
        DefaultValueFactory = _ => OnBadImage.Fail,
    };
    private readonly Option<ulong> _seed = new("--seed")
    {
        Description = "Seed of weights, data order, crops and codes.", HelpName = "s", DefaultValueFactory = _ => 0,
    };

    public Option<string> Images { get; } = new("--images")
    {
        Description = "A dataset: folder, .tar, .tar.gz, .zip, .npz, .csv, .jsonl, CIFAR or IDX files.", HelpName = "path", Required = true,
    };

    /// <summary>Folder, checkpoints, intervals.</summary>
    public RunOptionSet Frame { get; } = new(
        "Folder of the run, and of the tokenizer.", "judgements of held-out images", keepLast: 2, logEvery: 50,
        "Continue a run from its newest checkpoint. With the run's folder no other option is needed: it holds them. Without one the run in "
            + "--output is "
        + "continued with the same options again, or started where there is none.",
        optionsFile: "options.json");

    /// <summary>The network.</summary>
    public TokenizerModelOptions Model { get; } = new();

    public Option<string?> InitFrom { get; } = new("--init-from")
    {
        Description = "Start from these weights (run, tokenizer folder, published .pt): fine-tuning. Their sizes replace the preset's.",
        HelpName = "path",
    };

    /// <summary>Parts that are kept.</summary>
    public Option<string?> Freeze { get; } = new("--freeze")
    {
        Description = "Parts of --init-from that stay as they are, separated by commas; the rest is trained. With encoder,codebook the codes stay "
            + "what "
            + "they are, and models trained on them remain good.",
        HelpName = "encoder|codebook|decoder,..",
    };

    public Option<string[]> Perceptual { get; } = new("--perceptual")
    {
        Description = "Weights of the perceptual loss: SqueezeNet 1.1 features, or VGG-16 and the heads of LPIPS (one file or two).",
        HelpName = "file", AllowMultipleArgumentsPerToken = true, DefaultValueFactory = _ => [],
    };

    public Option<string> Device { get; } = DeviceOption.Create("Losses are equal within rounding, not bit for bit.");

    public Option<string> Precision { get; } = PrecisionChoice
        .CreateOption("convolutions of tokenizer, discriminator and LPIPS", "Weights, moments, sums of norms, quantisation and losses");

    public Option<long> GridEvery { get; } = new Option<long>("--grid-every")
    {
        Description = "Steps between pictures of held-out images beside their reconstructions; 0 = only at the end.", HelpName = "n",
        DefaultValueFactory = _ => 500,
    }.AtLeast(0L);

    public Option<double> UsageAlarm { get; } = new Option<double>("--usage-alarm")
    {
        Description = "Share of the codebook in use below which the run says so.", HelpName = "x", DefaultValueFactory = _ => 0.5,
    }.AtLeast(0.0);

    /// <summary>Leaves the options in the run's folder, for <c>--resume RUN</c>.</summary>
    public void Save(ParseResult parsed)
        => ConfigFile.Write(
            Path.Combine(parsed.GetRequiredValue(Frame.Output), Frame.Resume.OptionsFile!), parsed, except: [Frame.Output, Frame.Resume],
            paths: [Images, InitFrom, Perceptual]);

    public void AddTo(Command command)
    {
        command.Add(Images);
        Frame.AddTo(command);
        Model.AddTo(command);
        foreach (var option in (Option[])[
            _steps, _epochs, _batchSize, _learningRate, _warmup, _decay, _beta2, _clipNorm, _emaDecay, _fixedEma, _seed, Device, Precision, InitFrom,
            Freeze, _reconstruction, Perceptual, _perceptualWeight, _discriminator, _discriminatorLoss, _generatorLoss, _discriminatorStart,
            _discriminatorWeight, _adaptive, _continuous, _revive, UsageAlarm, _perturb, _perturbImages, _perturbCodes, _perturbNeighbours,
            _perturbEnd, _centreCrops, _noFlips, _heldOut, _judged, _onError, GridEvery])
        {
            command.Add(option);
        }
    }

    public int BatchSize(ParseResult parsed) => parsed.GetRequiredValue(_batchSize);

    public TokenizerImageOptions ImageOptions(ParseResult parsed) => new()
    {
        Side = Model.ImageSize(parsed), Seed = parsed.GetRequiredValue(_seed), HeldOutShare = parsed.GetRequiredValue(_heldOut),
        MostJudged = parsed.GetRequiredValue(_judged),
        HasRandomCrops = !parsed.GetValue(_centreCrops), HasFlips = !parsed.GetValue(_noFlips), OnBadImage = parsed.GetRequiredValue(_onError),
    };

    /// <exception cref="ConfigException">Settings cannot work; every problem is listed.</exception>
    public TokenizerRunConfig Resolve(ParseResult parsed, TokenizerConfig tokenizer, TokenizerRunData data, ComputePrecision precision)
    {
        var steps = Steps(parsed, data);
        var initFrom = parsed.GetValue(InitFrom);
        var frozen = FrozenParts.Parse(parsed.GetValue(Freeze));
        return new TokenizerRunConfig
        {
            Tokenizer = tokenizer,
            Objective = Objective(parsed, steps),
            Discriminator = Enum.Parse<DiscriminatorKind>(parsed.GetRequiredValue(_discriminator), ignoreCase: true),
            Perturbation = parsed.GetValue(_perturb) ? Perturbation(parsed, tokenizer, steps) : null,
            Steps = steps,
            BatchSize = BatchSize(parsed),
            WarmupSteps = parsed.GetValue(_warmup) ?? Math.Min(steps / 100, 200),
            DecayShare = parsed.GetRequiredValue(_decay),
            ContinuousSteps = parsed.GetValue(_continuous) ?? (initFrom is null ? Math.Min(steps / 20, 300) : 0),
            RevivalInterval = frozen?.Contains(TokenizerPart.Codebook) == true && parsed.GetResult(_revive) is null or { Implicit: true }
                ? 0
                : parsed.GetRequiredValue(_revive),
            Frozen = frozen,
            HasRandomCrops = !parsed.GetValue(_centreCrops),
            HasFlips = !parsed.GetValue(_noFlips),
            Seed = parsed.GetRequiredValue(_seed),
            Precision = precision,
            Data = data,
            InitialWeights = initFrom is null ? null : Path.GetFileName(Path.TrimEndingDirectorySeparator(initFrom)),
            Perception = parsed.GetRequiredValue(Perceptual) is []
                ? null
                : string.Join(' ', parsed.GetRequiredValue(Perceptual).Select(Path.GetFileName)),
        }.Validated();
    }

    private int Steps(ParseResult parsed, TokenizerRunData data) => (parsed.GetValue(_steps), parsed.GetValue(_epochs)) switch
    {
        ({ }, { }) => throw new ConfigException("--steps and --epochs are both given; one decides the length."),
        ({ } steps, null) => steps,
        (null, { } epochs) => Math.Ceiling(epochs * data.TrainingCount / Math.Max(BatchSize(parsed), 1)) is var needed and > 0 and <= MostSteps
            ? (int)needed
            : throw new ConfigException($"--epochs {epochs} of {data.TrainingCount:N0} images must be from one step to {MostSteps:N0} steps."),
        _ => DefaultSteps,
    };

    private VqganTrainingConfig Objective(ParseResult parsed, int steps) => new()
    {
        LearningRate = parsed.GetRequiredValue(_learningRate),
        Beta2 = parsed.GetRequiredValue(_beta2),
        ClipNorm = parsed.GetRequiredValue(_clipNorm),
        EmaDecay = parsed.GetRequiredValue(_emaDecay),
        EmaWarmup = !parsed.GetValue(_fixedEma),
        Reconstruction = parsed.GetRequiredValue(
            _reconstruction) switch
        { "l1" => ReconstructionLoss.Absolute, "l2" => ReconstructionLoss.Squared, _ => ReconstructionLoss.Both },
        PerceptualWeight = parsed.GetRequiredValue(_perceptualWeight),
        AdversarialWeight = parsed.GetRequiredValue(_discriminatorWeight),
        DiscriminatorStart = parsed.GetValue(_discriminatorStart) ?? (steps / 2) + 1,
        IsAdaptive = parsed.GetValue(_adaptive),
        WarmsDiscriminator = false,
        DiscriminatorLoss = parsed.GetRequiredValue(
            _discriminatorLoss) switch
        {
            "vanilla" => DiscriminatorLoss.Vanilla,
            "non-saturating" => DiscriminatorLoss.NonSaturating,
            _ => DiscriminatorLoss.Hinge
        },
        GeneratorLoss = parsed.GetRequiredValue(_generatorLoss) == "hinge" ? GeneratorLoss.Hinge : GeneratorLoss.NonSaturating,
    };

    private LatentPerturbationConfig Perturbation(ParseResult parsed, TokenizerConfig tokenizer, int steps) => new()
    {
        ImageShare = parsed.GetRequiredValue(_perturbImages), CodeShare = parsed.GetRequiredValue(_perturbCodes),
        Neighbours = Math.Min(parsed.GetRequiredValue(_perturbNeighbours), tokenizer.CodebookSize), EndRatio = parsed.GetRequiredValue(_perturbEnd),
        AnnealStart = steps / 5, AnnealEnd = steps * 3L / 5,
    };
}
