using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using NextPatch.Cli.Rendering;
using NextPatch.Core;
using NextPatch.Evaluation;
using NextPatch.Evaluation.Clip;
using NextPatch.Sampling;

namespace NextPatch.Cli.Evaluation;

/// <summary>The options by which images are measured against their prompts.</summary>
internal sealed class ClipOptions
{
    private readonly Option<string?> _weights = new("--clip")
    {
        Description = "Also measure the CLIP score of images and prompts, with these weights of CLIP ViT-B/32 (OpenAI's names or those of "
            + "transformers), merges.txt beside them. Then --reference may be missing.", HelpName = "path",
    };

    private readonly Option<string?> _merges = new("--clip-merges")
    {
        Description = "CLIP's list of merges: merges.txt or bpe_simple_vocab_16e6.txt.gz. [default: beside the weights]", HelpName = "file",
    };

    private readonly Option<string?> _prompts = new("--prompts")
    {
        Description = "Prompts of the images in their order, for --clip: .txt, .csv, .tsv, .jsonl. [default: captions.txt in the folder of --samples "
            + "or above it]", HelpName = "file",
    };

    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[_weights, _merges, _prompts])
        {
            command.Add(option);
        }
    }

    /// <summary>Whether it is asked for.</summary>
    public bool IsAsked(ParseResult parsed)
    {
        if (parsed.GetValue(_weights) is null && (parsed.GetValue(_merges) ?? parsed.GetValue(_prompts)) is not null)
        {
            throw new ConfigException("--prompts and --clip-merges belong to the CLIP score; name CLIP's weights with --clip.");
        }

        return parsed.GetValue(_weights) is not null;
    }

    /// <exception cref="NextPatchException">Something is missing, damaged, or does not fit.</exception>
    public ClipScoreResult Measure(ParseResult parsed, string samples, IProgress<EvaluationProgress> progress, CancellationToken cancellation)
        => ClipScore.Measure(
            samples, parsed.GetValue(_prompts) ?? PromptsOf(samples), parsed.GetValue(_weights)!, parsed.GetValue(_merges), progress, cancellation);

    public static void Write(Terminal terminal, ClipScoreResult result)
    {
        var error = result.StandardError is { } spread ? string.Create(CultureInfo.InvariantCulture, $" ± {spread:0.0000} (standard error)") : "";
        terminal.WriteFacts(
            [
                ("CLIP score", string.Create(CultureInfo.InvariantCulture, $"{result.ClipScore:0.0000}{error}")),
                ("of", $"{result.Images:N0} images of {result.Samples} and the prompts of {result.Prompts}"),
                ("CLIP", $"weights {result.WeightsHash[..12]}, \"A photo depicts\" before each prompt; not times 100"),
                ("prompts cut", result.CutPrompts > 0 ? $"{result.CutPrompts:N0}, beyond what CLIP reads" : null),
            ], 24);
    }

    public static JsonObject ToJson(ClipScoreResult result) => JsonNode.Parse(Terminal.ToJson(result))!.AsObject();

    private static string PromptsOf(string samples)
    {
        var folder = Directory.Exists(samples) ? Path.GetFullPath(samples) : Path.GetDirectoryName(Path.GetFullPath(samples))!;
        return new[] { folder, Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(folder)) ?? folder }
            .Select(place => Path.Combine(place, PromptFiles.Captions)).FirstOrDefault(File.Exists)
            ?? throw new ConfigException($"No {PromptFiles.Captions} lies beside '{samples}'; name the prompts of the images with --prompts.");
    }
}
