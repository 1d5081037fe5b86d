using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Core.Files;
using NextPatch.Data.Codes;
using NextPatch.Models;
using NextPatch.Sampling;

namespace NextPatch.Evaluation.Protocol;

/// <summary>Opens whatever a person names as images: an npz, a folder that <c>sample</c> wrote, a dataset, codes, a model.</summary>
internal static class ImageSetOpener
{
    private static readonly string[] WeightsEndings = [".pt", ".pth", ".th", ".ckpt", ".safetensors"];

    /// <param name="path">File or folder.</param>
    /// <param name="part">Part of a dataset or of codes: train or test; null = the only one, or as the layout decides.</param>
    /// <param name="side">Images of a dataset are cropped to squares of this side; null: they stay as they are.</param>
    /// <param name="drawing">How a model draws; null where a model makes no sense.</param>
    /// <param name="cancellation">Stops the listing of a dataset.</param>
    /// <param name="tokenizer">Tokenizer of codes where <paramref name="drawing"/> names none.</param>
    /// <exception cref="NextPatchException">Missing, damaged, or none of these.</exception>
    public static ImageSet Open(
        string path, string? part, int? side, DrawingOptions? drawing, CancellationToken cancellation, string? tokenizer = null)
    {
        if (File.Exists(Path.Combine(path, "samples.json")) && File.Exists(Path.Combine(path, "samples.npz")))
        {
            return OpenSamples(Path.Combine(path, "samples.npz"), Path.Combine(path, "samples.json"), part);
        }

        if (File.Exists(path) && path.EndsWith(".npz", StringComparison.OrdinalIgnoreCase))
        {
            var beside = Path.ChangeExtension(path, ".json");
            return File.Exists(beside) && TextFile.Read(beside, TextFile.MostBytesOfJson).Contains("\"modelHash\"", StringComparison.Ordinal)
                ? OpenSamples(path, beside, part)
                : ArrayImageSet.Open(path, part: part);
        }

        if (CodeStore.IsCodeFolder(path))
        {
            return OpenCodes(path, part, drawing?.Tokenizer ?? tokenizer);
        }

        if (!IsModel(path))
        {
            return DatasetImageSet.Open(path, part, side, cancellation);
        }

        if (part is not null)
        {
            throw new ConfigException($"'{path}' is a model, whose images have no part '{part}'; leave the part out.");
        }

        var model = drawing?.Load(path) ?? throw new ConfigException(
            $"'{path}' is a model; it can be measured, but it is no reference. Name real images or their statistics.");
        try
        {
            return drawing.Draw(model, Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path))), owned: model);
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    private static ArrayImageSet OpenSamples(string archive, string description, string? part)
    {
        var set = ConfigJson.Read(description, SampleSetJson.Default.SampleSet);
        var drawing = new Drawing(set.Seed, set.Sampling, set.ModelHash, set.Weights);
        var classes = set.ClassNames.Count > 0 ? set.ClassNames.Count : (int?)null;
        return ArrayImageSet.Open(archive, set.Prompts is null ? set.Labels : null, classes, drawing, Rounding(set), part);
    }

    /// <summary>Images may be brought to another size before they become bytes, or after.</summary>
    private static string Rounding(SampleSet set) => set.ResizeFilter switch
    {
        null => CodeImageSet.TokenizerRounding,
        EvaluationSize.Antialiased => $"{CodeImageSet.TokenizerRounding}, then {set.ResizeFilter} from {set.ImageSize} to {set.ImageSizeEval}",
        _ => $"{set.ResizeFilter} from {set.ImageSize} to {set.ImageSizeEval}, then {CodeImageSet.TokenizerRounding}",
    };

    private static CodeImageSet OpenCodes(string path, string? part, string? tokenizer)
    {
        var named = CodeTokenizer.Find(path, tokenizer) ?? throw new ConfigException(
            $"'{path}' holds codes, and '{CodeTokenizer.PlaceBeside(path)}' does not exist; name the tokenizer that made them with Tokenizer.")
        {
            Settings = ["Tokenizer"],
        };
        return CodeImageSet.Open(path, named, WeightsHash.ComputeForTokenizer(named), part);
    }

    private static bool IsModel(string path) => Directory.Exists(path)
        ? File.Exists(Path.Combine(path, "latest")) || WeightsFile.FindIn(path, WeightsKind.Auto) is not null
        : WeightsEndings.Contains(Path.GetExtension(path), StringComparer.OrdinalIgnoreCase);
}
