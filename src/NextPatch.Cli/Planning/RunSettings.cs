using System.CommandLine;
using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;

namespace NextPatch.Cli.Planning;

/// <summary>
/// The options that decide what a run computes, shared by the commands that plan and train: a preset and a recipe, and what
/// overrides them.
/// </summary>
internal sealed class RunSettings
{
    private readonly Option<string> _preset;
    private readonly Option<string> _recipe;

    private readonly Option<int?> _grid = new("--grid")
    {
        Description = "Codes per row and column of an image. [default: 16, or the data's]", HelpName = "n",
    };
    private readonly Option<int?> _vocabulary = new("--vocabulary")
    {
        Description = "Size of the tokenizer's codebook. [default: 16384, or the data's]", HelpName = "n",
    };
    private readonly Option<int?> _classes = new("--classes") { Description = "Number of classes. [default: 1000, or the data's]", HelpName = "n" };
    private readonly Option<int?> _batchSize = new("--batch-size")
    {
        Description = "Images per optimiser step. [default: the recipe's]", HelpName = "n",
    };
    private readonly Option<int?> _epochs = new("--epochs")
    {
        Description = "Length of the run in passes over the images. [default: the recipe's]", HelpName = "n",
    };
    private readonly Option<long?> _steps = new("--steps")
    {
        Description = "Length of the run in optimiser steps, instead of --epochs.", HelpName = "n",
    };

    private readonly Option<int?> _patchLevel = new("--patch-level")
    {
        Description = "Coarse-to-fine levels: 1 = plain next-token training, 2 = patch sides 2,1; 3 = 4,2,1; 4 = 8,4,2,1. [default: 2]",
        HelpName = "n",
    };

    private readonly Option<string?> _patchSides = new("--patch-sides")
    {
        Description = "Patch sides, coarsest first, instead of --patch-level; each divides the grid and the last is 1. Example: 4,2,1",
        HelpName = "list",
    };

    private readonly Option<double?> _stageRate = new("--stage-rate")
    {
        Description = "Share of a stage's end at which the coarser one before it ends, 0 to 1. [default: 0.5]", HelpName = "r",
    };

    private readonly Option<string?> _stages = new("--stages")
    {
        Description = "Stages instead of these three: patch sides with shares of the run or steps. Example: 4:10%,2:30%,1:60% or 4:500,1:3000",
        HelpName = "list",
    };

    private readonly Option<int?> _microBatch = new("--micro-batch")
    {
        Description = "Images per forward pass at patch side 1, to save memory; coarser stages take p*p as many. Results differ in rounding only. "
            + "[default: 0, the whole batch]",
        HelpName = "n",
    };

    private readonly ScheduleOptions _schedule = new();

    /// <param name="defaultPreset">Preset where none is given.</param>
    /// <param name="defaultRecipe">Recipe where none is given.</param>
    public RunSettings(string defaultPreset, string defaultRecipe)
    {
        _preset = new Option<string>("--preset")
        {
            Description = $"Shape of the transformer: {string.Join(", ", GptPresets.Names)}.", HelpName = "name",
            DefaultValueFactory = _ => defaultPreset,
        };
        _recipe = new Option<string>("--recipe")
        {
            Description = "Where the other settings come from: paper (warm-up of 5 epochs, attention dropout 0.1), repository (the published code: "
                + "1 epoch, none), cpu (short runs of small presets).",
            HelpName = "name",
            DefaultValueFactory = _ => defaultRecipe,
        };
    }

    public IReadOnlyList<Option> All =>
        [_preset, _recipe, _grid, _vocabulary, _classes, _batchSize, _epochs, _steps, _patchLevel, _patchSides, _stageRate, _stages, _microBatch,
            .. _schedule.All];

    public void AddTo(Command command)
    {
        foreach (var option in All)
        {
            command.Add(option);
        }
    }

    /// <summary>The preset's name as given.</summary>
    public string Preset(ParseResult parsed) => parsed.GetRequiredValue(_preset);

    /// <summary>The recipe's name as given.</summary>
    public string Recipe(ParseResult parsed) => parsed.GetRequiredValue(_recipe);

    /// <summary>Preset and recipe, then <paramref name="fitToData"/>, then the options given; validated as a whole.</summary>
    /// <exception cref="ConfigException">A name is unknown, or settings cannot work; every problem is listed.</exception>
    public (GptConfig Model, TrainingConfig Training) Resolve(ParseResult parsed, Func<GptConfig, GptConfig>? fitToData = null)
    {
        var (model, training) = TrainingRecipes.Get(Recipe(parsed), GptPresets.Get(Preset(parsed)));
        model = fitToData?.Invoke(model) ?? model;
        model = model with
        {
            GridSide = parsed.GetValue(_grid) ?? model.GridSide,
            VocabularySize = parsed.GetValue(_vocabulary) ?? model.VocabularySize,
            ClassCount = parsed.GetValue(_classes) ?? model.ClassCount,
        };
        model.Validated();
        training = WithLength(training, parsed.GetValue(_epochs), parsed.GetValue(_steps)) with
        {
            BatchSize = parsed.GetValue(_batchSize) ?? training.BatchSize,
            StageRate = parsed.GetValue(_stageRate) ?? training.StageRate,
            MicroBatch = parsed.GetValue(_microBatch) ?? training.MicroBatch,
        };
        training = parsed.GetValue(_stages) is { } stages
            ? WithStages(training, stages, parsed)
            : WithPatches(training, parsed.GetValue(_patchLevel), parsed.GetValue(_patchSides));
        return (model, _schedule.Apply(parsed, training).Validated(model));
    }

    private static TrainingConfig WithLength(TrainingConfig training, int? epochs, long? steps) => (epochs, steps) switch
    {
        (not null, not null) => throw new ConfigException($"--epochs {epochs} and --steps {steps} both give the length of the run; keep one."),
        (not null, _) => training with { Epochs = epochs.Value, Steps = null },
        (_, not null) => training with { Steps = steps },
        _ => training,
    };

    private TrainingConfig WithStages(TrainingConfig training, string text, ParseResult parsed)
    {
        if (((Option[])[_patchLevel, _patchSides, _stageRate]).FirstOrDefault(o => parsed.GetResult(o) is not null) is { } other)
        {
            throw new ConfigException($"--stages {text} and {other.Name} both give the stages; keep one.");
        }

        var stages = StageLength.ParseList(text);
        if (stages.Any(s => s.Steps is null))
        {
            return training with { Stages = stages };
        }

        var length = ((Option[])[_steps, _epochs]).FirstOrDefault(o => parsed.GetResult(o) is not null);
        return length is null
            ? training with { Stages = stages, Steps = stages.Sum(s => s.Steps) }
            : throw new ConfigException($"--stages {text} and {length.Name} both give the length of the run; keep one, or write shares (4:10%).");
    }

    private static TrainingConfig WithPatches(TrainingConfig training, int? level, string? sides)
    {
        if (level is not null && sides is not null)
        {
            throw new ConfigException($"--patch-level {level} and --patch-sides {sides} both give the patches; keep one.");
        }

        if (sides is null)
        {
            return level is null ? training : training with { PatchLevel = level.Value, PatchSides = null };
        }

        var numbers = new List<int>();
        foreach (var part in sides.Split(',', StringSplitOptions.TrimEntries))
        {
            numbers.Add(StrictNumber.TryParse(part, out int side) && side > 0
                ? side
                : throw new ConfigException($"--patch-sides '{sides}' is not a list of whole numbers; write it like 4,2,1."));
        }

        return training with { PatchSides = numbers };
    }
}
