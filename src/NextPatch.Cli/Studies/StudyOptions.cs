using System.CommandLine;
using System.Text.Json.Nodes;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Configuration;
using NextPatch.Cli.Training;
using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Training;

namespace NextPatch.Cli.Studies;

/// <summary>Options of <c>train</c> as a study's file gives them: whatever that command learns, a study can compare.</summary>
internal sealed class StudyOptions
{
    /// <summary>What the study itself decides.</summary>
    private static readonly string[] Decided = ["--seed", "--steps", "--epochs", "--init-from"];

    private readonly TrainOptions _options = new();
    private readonly Command _command = new("train");
    private readonly string[] _allowed;

    public StudyOptions()
    {
        _options.AddTo(_command);
        StrictNumbers.Apply(_command);
        _allowed = [.. _options.Deciding.Select(o => o.Name).Except(Decided)];
    }

    /// <summary>Model and training of a schedule; length and seed are the study's to set.</summary>
    /// <param name="shared">Options of all schedules.</param>
    /// <param name="own">Its own, which win.</param>
    /// <param name="source">Who gives them, for messages.</param>
    /// <param name="codes">What the model is fitted to.</param>
    /// <param name="givesRate">Whether a learning rate is among the options.</param>
    /// <exception cref="ConfigException">An option is unknown or decided by the study, or settings cannot work.</exception>
    public (GptConfig Model, TrainingConfig Training) Resolve(
        JsonObject shared, JsonObject own, string source, Data.Codes.CodeManifest codes, out bool givesRate)
    {
        var members = new JsonObject(shared.Select(p => KeyValuePair.Create(p.Key, p.Value?.DeepClone())));
        foreach (var (name, value) in own)
        {
            members[name] = value?.DeepClone();
        }

        if (members.Select(m => "--" + m.Key).FirstOrDefault(name => !_allowed.Contains(name)) is { } other)
        {
            throw new ConfigException(Decided.Contains(other)
                ? $"{source}: '{other[2..]}' is not a schedule's to say; seeds and images of the study decide it."
                : $"{source}: '{other[2..]}' is no option of 'train' that decides what a run computes. Those that do: "
                    + $"{string.Join(", ", _allowed.Select(o => o[2..]).Order(StringComparer.Ordinal))}.");
        }

        var parsed = _command.Parse(ConfigFile.WordsOf(members, source, _command));
        if (parsed.Errors.Count > 0)
        {
            throw new ConfigException([.. parsed.Errors.Select(e => $"{source}: {e.Message}")]);
        }

        givesRate = members.ContainsKey("lr");
        var (model, training) = _options.Resolve(parsed, m => GptTraining.Fit(m, codes));
        var precision = parsed.GetRequiredValue(_options.Precision);
        return (model, training with
        {
            StepImplementation = StepChoice.Choose(parsed.GetRequiredValue(_options.Step), training.Grouping),
            Precision = precision == PrecisionChoice.Auto ? ComputePrecision.Fp32 : Enum.Parse<ComputePrecision>(precision, ignoreCase: true),
        });
    }
}
