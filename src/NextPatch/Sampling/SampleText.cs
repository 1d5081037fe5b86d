using System.Globalization;
using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Core.Sampling;

namespace NextPatch.Sampling;

/// <summary>What a PNG file remembers of how it was drawn.</summary>
internal static class SampleText
{
    private const string TokenizerHash = "tokenizerHash";
    private const string Precision = "precision";

    public static string Version => typeof(NextPatchException).Assembly.GetName().Version!.ToString(3);

    /// <param name="model">Drew it.</param>
    /// <param name="request">It is one of these images.</param>
    /// <param name="place">Its place among them.</param>
    /// <param name="size">Null: as drawn.</param>
    /// <returns>Text by keyword.</returns>
    public static Dictionary<string, string> For(SampleModel model, GenerationRequest request, int place, EvaluationSize? size = null)
    {
        var text = new Dictionary<string, string>
        {
            ["Software"] = $"NextPatch {Version}",
            ["seed"] = request.Seed.ToString(CultureInfo.InvariantCulture),
            ["index"] = (request.FirstIndex + place).ToString(CultureInfo.InvariantCulture),
        };
        if (request.Prompts is { } prompts)
        {
            text["prompt"] = prompts[place].Text.Replace('\0', '\uFFFD'); // which the format cannot hold
        }
        else
        {
            text["class"] = request.Labels[place].ToString(CultureInfo.InvariantCulture);
            text["className"] = SampleSheet.NameOf(request.Labels[place], model.Config.ClassNames);
        }

        text["settings"] = Rules(request.Sampling) + Size(size);
        text["weights"] = model.KindName;
        text["modelHash"] = model.Hash;
        text[Precision] = model.Precision switch { ComputePrecision.Bf16 => "bf16", ComputePrecision.Int8 => "int8", _ => "fp32" };
        if (model.TokenizerHash is { } tokenizer)
        {
            text[TokenizerHash] = tokenizer;
        }

        return text;
    }

    /// <summary>Whether an image with one text is the one that would get the other; what earlier versions did not write may be missing.</summary>
    public static bool IsSame(IReadOnlyDictionary<string, string> found, IReadOnlyDictionary<string, string> wanted)
        => wanted.All(pair => found.GetValueOrDefault(pair.Key) is { } value ? value == pair.Value : pair.Key is TokenizerHash or Precision);

    private static string Size(EvaluationSize? size)
        => size is null
            ? ""
            : string.Create(CultureInfo.InvariantCulture, $" --image-size-eval {size.Side}{(size.IsAntialiased ? " --antialias" : "")}");

    /// <summary>The rules as options of <c>nextpatch sample</c>, so that they can be repeated.</summary>
    private static string Rules(SamplingConfig rules)
    {
        var shape = rules.GuidanceShape switch { GuidanceShape.Linear => "linear", GuidanceShape.Power => "power", _ => "constant" };
        return string.Create(
            CultureInfo.InvariantCulture,
            $"--cfg-scale {rules.GuidanceScale} --cfg-interval {rules.GuidanceInterval} --cfg-shape {shape} --cfg-power {rules.GuidancePower} ")
            + string.Create(
                CultureInfo.InvariantCulture, $"--temperature {rules.Temperature} --top-k {rules.TopK} --top-p "
                + $"{rules.TopP}{(rules.Greedy ? " --greedy" : "")}");
    }
}
