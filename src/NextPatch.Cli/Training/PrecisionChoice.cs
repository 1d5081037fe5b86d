using System.CommandLine;
using NextPatch.Cli.Diagnostics;
using NextPatch.Cli.Rendering;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Torch.Precision;

namespace NextPatch.Cli.Training;

/// <summary>The option <c>--precision</c> and what it means on this machine.</summary>
internal static class PrecisionChoice
{
    public const string Auto = "auto";

    /// <param name="work">What is computed in it.</param>
    /// <param name="exceptions">What stays fp32.</param>
    public static Option<string> CreateOption(string work = "matrix products", string exceptions = "Weights, moments, norms, softmax and loss")
        => new Option<string>("--precision")
        {
            Description = $"Arithmetic of the {work}: auto measures fp32 against bf16 where the processor has it. {exceptions} stay fp32.",
            HelpName = "auto|fp32|bf16",
            DefaultValueFactory = _ => Auto,
        }.AcceptOnlyFromAmong(Auto, "fp32", "bf16");

    /// <summary>As asked; a run that is resumed keeps its own, because a measurement may come out otherwise today.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="option">Made by <see cref="CreateOption"/>.</param>
    /// <param name="frame">Says where the run lies and whether it is resumed.</param>
    /// <param name="ofCheckpoint">Reads the precision of a checkpoint's folder.</param>
    /// <param name="choose">Given what the option says.</param>
    /// <param name="progress">Is told what was chosen, and why.</param>
    public static ComputePrecision ForRun(
        ParseResult parsed, Option<string> option, RunOptionSet frame, Func<string, ComputePrecision?> ofCheckpoint, Func<string,
        (ComputePrecision Precision, string Reason)> choose, ProgressReporter progress)
    {
        var asked = parsed.GetRequiredValue(option);
        var before = asked == Auto && frame.Resume.IsGiven(parsed) ? OfRun(parsed.GetRequiredValue(frame.Output), ofCheckpoint) : null;
        var (precision, reason) = before is { } kept
            ? (kept, $"Precision: {(kept == ComputePrecision.Bf16 ? "bf16" : "fp32")}, as the run began.")
            : choose(asked);
        progress.WriteLine(reason);
        return precision;
    }

    /// <param name="asked">What the option says.</param>
    /// <param name="model">Its widths are measured.</param>
    /// <returns>The precision, and a sentence that says why.</returns>
    public static (ComputePrecision Precision, string Reason) Choose(string asked, GptConfig model)
        => Choose(asked, hasBf16 => PrecisionMeasurement.Choose(model, hasBf16));

    /// <summary>The same for a tokenizer.</summary>
    /// <param name="asked">What the option says.</param>
    /// <param name="tokenizer">Its convolutions are measured.</param>
    /// <param name="batchSize">Images per step.</param>
    /// <returns>The precision, and a sentence that says why.</returns>
    public static (ComputePrecision Precision, string Reason) Choose(string asked, TokenizerConfig tokenizer, int batchSize)
        => Choose(asked, hasBf16 => ConvolutionMeasurement.Choose(tokenizer, batchSize, hasBf16));

    private static (ComputePrecision Precision, string Reason) Choose(string asked, Func<bool, (ComputePrecision Precision, string Reason)> measure)
        => asked switch
        {
            Auto => measure(Processor.Detect().IsBf16Fast),
            "bf16" when !Processor.Detect().IsBf16Fast => (ComputePrecision.Bf16,
                "Precision: bf16, as asked; this processor has no bf16 dot products, so fp32 would be several times as fast."),
            _ => (Enum.Parse<ComputePrecision>(asked, ignoreCase: true), $"Precision: {asked}, as asked."),
        };

    /// <summary>
    /// What the newest readable checkpoint of a run says: others may be damaged, or vanish because the run is still going on, which its lock
    /// says later.
    /// </summary>
    /// <param name="run">The run's folder.</param>
    /// <param name="ofCheckpoint">Reads it from a checkpoint's folder.</param>
    /// <returns>Null where no checkpoint can be read.</returns>
    public static T? OfRun<T>(string run, Func<string, T?> ofCheckpoint)
        where T : struct
    {
        foreach (var checkpoint in new CheckpointFolder(run).All().Reverse())
        {
            try
            {
                return ofCheckpoint(Path.Combine(run, checkpoint));
            }
            catch (NextPatchException)
            {
            }
        }

        return null;
    }
}
