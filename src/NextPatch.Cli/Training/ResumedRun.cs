using System.CommandLine;
using NextPatch.Core;
using NextPatch.Training;

namespace NextPatch.Cli.Training;

/// <summary><c>train --resume RUN</c>: the settings that the run holds, and what the command line changes around them.</summary>
internal static class ResumedRun
{
    /// <summary>The request that continues a run.</summary>
    /// <param name="options">Of the command.</param>
    /// <param name="parsed">The command line.</param>
    /// <param name="run">The run's folder.</param>
    /// <exception cref="ConfigException">An option would decide what the run computes, which it has decided already.</exception>
    public static GptTrainingRequest Read(TrainOptions options, ParseResult parsed, string run)
    {
        RefuseDecided(options, parsed);
        var request = GptTraining.Continue(run);
        bool IsGiven(Option option) => parsed.GetResult(option) is { Implicit: false };
        var frame = options.Frame.FillGiven(parsed, request.Run);
        return request with
        {
            Codes = parsed.GetValue(options.Codes) ?? (request.Codes.Length > 0 ? request.Codes : throw new ConfigException(
                $"The run in {run} does not say which codes it was trained on; name them with --codes.")),
            TextFeatures = options.ReadTextFeatures(parsed) is { Count: > 0 } features ? features : request.TextFeatures,
            Tokenizer = parsed.GetValue(options.Tokenizer) ?? request.Tokenizer,
            Run = frame with
            {
                ExtendTo = parsed.GetValue(options.ExtendTo),
                Recompute = IsGiven(options.Recompute) ? parsed.GetValue(options.Recompute) : frame.Recompute,
                Device = IsGiven(options.Device) ? parsed.GetRequiredValue(options.Device) : frame.Device,
                Tf32 = IsGiven(options.Tf32) ? parsed.GetValue(options.Tf32) : frame.Tf32,
                ValidationImages = IsGiven(options.ValidateImages) ? parsed.GetRequiredValue(options.ValidateImages) : frame.ValidationImages,
                SampleEvery = IsGiven(options.SampleEvery) ? parsed.GetRequiredValue(options.SampleEvery) : frame.SampleEvery,
                MeasureEvery = IsGiven(options.EvaluateEvery) ? parsed.GetRequiredValue(options.EvaluateEvery) : frame.MeasureEvery,
            },
        };
    }

    private static void RefuseDecided(TrainOptions options, ParseResult parsed)
    {
        var given = options.Deciding.Append(options.Frame.Output).Where(o => parsed.GetResult(
            o) is { Implicit: false }).Select(o => o.Name).ToArray();
        if (given.Length > 0)
        {
            throw new ConfigException(
                $"--resume with a run's folder continues it with the settings it holds, so {string.Join(", ", given)} would be ignored; leave "
                + $"{(given.Length == 1 ? "it" : "them")} out. (--extend-to lengthens it; --init-from starts another run from its weights.)");
        }
    }
}
