using System.CommandLine;
using NextPatch.Core;
using NextPatch.Core.Configuration;

namespace NextPatch.Cli.Planning;

/// <summary>
/// Options of what the coarse stages do that the publication does not: each one leaves a published run as it is where it is not given.
/// </summary>
internal sealed class ScheduleOptions
{
    private const string Plateau = "plateau:";

    private readonly Option<string> _course = Choice(
        "--lr-schedule", "The learning rate: a warm-up and a decay in each of the stages (published), or wsd, one warm-up, one constant part and one "
        + "decay over the whole run.", "stages", "wsd");
    private readonly Option<string> _coarseBatch = Choice(
        "--coarse-batch", "Steps of patch side p take as many images as others (published), or p*p times as many, so that all cost the same FLOPs.",
        "images", "flops");
    private readonly Option<string> _moments = Choice(
        "--moments", "AdamW's moments where a stage begins: kept (published) or reset.", "keep", "reset");
    private readonly Option<double?> _coarseShare = new("--mix-coarse")
    {
        Description = "Share of the images of every step, after the first stage, that keep the patches of the stage before. [default: 0]",
        HelpName = "x",
    };
    private readonly Option<string> _switch = new("--switch")
    {
        Description = "Where coarse stages end: as said by steps (published), or earlier, by plateau:X, once the held-out patch loss falls by less "
            + "per FLOP than X times the most it fell before; needs --lr-schedule wsd. Example: plateau:0.1",
        HelpName = "steps|plateau:X", DefaultValueFactory = _ => "steps",
    };
    private readonly Option<string> _position = Choice(
        "--patch-position", "Rotary position of a patch: its place in the grid of patches (published), or the centre of its codes.",
        "grid", "centre");

    public IReadOnlyList<Option> All => [_course, _coarseBatch, _moments, _coarseShare, _switch, _position];

    /// <summary>What the command line says, on top of the recipe.</summary>
    /// <exception cref="ConfigException">The switch is neither of its two forms.</exception>
    public TrainingConfig Apply(ParseResult parsed, TrainingConfig training) => training with
    {
        LearningRateCourse = Enum.Parse<LearningRateCourse>(parsed.GetRequiredValue(_course), ignoreCase: true),
        CoarseBatch = Enum.Parse<CoarseBatch>(parsed.GetRequiredValue(_coarseBatch), ignoreCase: true),
        ResetsMoments = parsed.GetRequiredValue(_moments) == "reset",
        CoarseShare = parsed.GetValue(_coarseShare) ?? training.CoarseShare,
        PlateauShare = PlateauShare(parsed.GetRequiredValue(_switch)),
        PatchPosition = Enum.Parse<PatchPosition>(parsed.GetRequiredValue(_position), ignoreCase: true),
    };

    private static double PlateauShare(string text) => text == "steps" ? 0
        : text.StartsWith(Plateau, StringComparison.Ordinal) && StrictNumber.TryParse(text.AsSpan(Plateau.Length), out double share) && share > 0
            ? share
            : throw new ConfigException($"--switch '{text}' is neither steps nor plateau:X with a number X above 0; write it like plateau:0.1.");

    private static Option<string> Choice(string name, string description, params string[] values) => new Option<string>(name)
    {
        Description = description, HelpName = string.Join('|', values), DefaultValueFactory = _ => values[0],
    }.AcceptOnlyFromAmong(values);
}
