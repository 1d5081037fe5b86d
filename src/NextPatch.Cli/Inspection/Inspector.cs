using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Checkpoints.PyTorch;
using NextPatch.Core.Configuration;
using NextPatch.Core.Files;
using NextPatch.Core.Imaging;
using NextPatch.Core.Tensors;
using NextPatch.Data.Codes;
using NextPatch.Models;

namespace NextPatch.Cli.Inspection;

/// <summary>Describes files and folders without loading their tensors.</summary>
internal static class Inspector
{
    private const string Understood =
        "Understood are checkpoint, run, tokenizer and code folders, and .safetensors, .safetensors.index.json, .pt, .pth, .th, .bin, .ckpt, .npz, "
        + ".npy and .png files.";

    /// <exception cref="NextPatchException">Missing, damaged, or of no known format.</exception>
    public static FileSummary Describe(string path)
    {
        if (Directory.Exists(path))
        {
            return DescribeFolder(path);
        }

        if (!File.Exists(path))
        {
            throw new NextPatchException($"'{path}' does not exist.");
        }

        if (FileContents.From(path) == FileContent.Image || Path.GetExtension(path).Equals(".png", StringComparison.OrdinalIgnoreCase))
        {
            return Png(path);
        }

        return WeightsFile.FormatOf(path) switch
        {
            WeightsFormat.Safetensors => Weights("safetensors", path),
            WeightsFormat.PyTorch => PyTorch(path),
            WeightsFormat.Npz => Weights("npz", path),
            WeightsFormat.Npy => Weights("npy", path),
            _ => throw new NextPatchException($"'{path}' is of no known kind.{FileContents.Remark(path)} {Understood}"),
        };
    }

    private static FileSummary DescribeFolder(string folder)
    {
        if (File.Exists(Path.Combine(folder, "codes.npy")))
        {
            return Codes(folder);
        }

        if (File.Exists(Path.Combine(folder, "latest")))
        {
            var run = new CheckpointFolder(folder);
            return Checkpoint(CheckpointFolder.Resolve(folder)) with { Format = "run", Checkpoints = run.All() };
        }

        return WeightsFile.FindIn(folder, WeightsKind.Model) is not null
            ? Checkpoint(folder)
            : throw new NextPatchException($"The folder '{folder}' holds neither codes.npy, nor latest, nor model.safetensors. {Understood}");
    }

    /// <summary>A checkpoint of a run, a model folder in the layout of Hugging Face, or a tokenizer.</summary>
    private static FileSummary Checkpoint(string folder)
    {
        using var source = ModelSource.Open(folder, WeightsKind.Model);
        var described = Summarize(source.Weights.Path.EndsWith(".bin", StringComparison.Ordinal) ? "pytorch" : "safetensors", source) with
        {
            Path = folder,
            Files = FilesOf(folder),
            Missing = CheckpointSums.MissingIn(folder) is { Count: > 0 } missing ? missing : null,
        };
        var config = Path.Combine(folder, "config.json");
        return described.Tensors!.Any(t => t.Name.StartsWith("quantize.", StringComparison.Ordinal)) && File.Exists(config)
            ? described with { Format = "tokenizer", Configuration = ConfigJson.Read(config, ConfigJson.Default.TokenizerConfig) }
            : described with { Format = "checkpoint", Configuration = source.Config };
    }

    private static FileSummary Codes(string folder)
    {
        using var store = CodeStore.Open(folder);
        return SummarizeTensors("codes", folder, [NpyTensor(Path.Combine(folder, "codes.npy")), NpyTensor(Path.Combine(folder, "labels.npy"))]) with
        {
            ParameterCount = null,
            ClassNames = store.Manifest.ClassNames,
            Configuration = store.Manifest,
            Files = FilesOf(folder),
        };
    }

    private static FileSummary Weights(string format, string path)
    {
        using var source = ModelSource.Open(path);
        return Summarize(format, source);
    }

    private static FileSummary PyTorch(string path)
    {
        using var checkpoint = PyTorchFile.Open(path);
        var contents = checkpoint.Content as Dictionary<object, object?>;
        if (contents is null || Chosen(path) is not { } weights)
        {
            return SummarizeTensors(
                "pytorch", path, ContentSummary.Tensors(checkpoint.Content).Select(p => new TensorSummary(p.Key, p.Value.Shape, p.Value.Type))) with
            {
                Contents = contents is null ? null : ContentSummary.SummarizeKeys(contents),
            };
        }

        // Weights that lie at the top are the tensors, listed already.
        return weights with { Contents = contents.Values.Any(v => v is StoredTensor) ? null : ContentSummary.SummarizeKeys(contents) };
    }

    /// <summary>The weights in a checkpoint that is sound; null where it has none.</summary>
    private static FileSummary? Chosen(string path)
    {
        try
        {
            return Weights("pytorch", path);
        }
        catch (DataFormatException)
        {
            return null;
        }
    }

    private static FileSummary Summarize(string format, ModelSource source)
    {
        // Scripts of Python save a model's wrappers with it; other formats are shown as they are.
        var tensors = format == "pytorch" ? source.Weights.Tensors : (IEnumerable<KeyValuePair<string, StoredTensor>>)source.Weights.Stored;
        var shapes = source.Weights.Tensors.ToDictionary(p => p.Key, p => p.Value.Shape);
        var preset = GptInference.FindPreset(shapes);
        return SummarizeTensors(format, source.Weights.Path, tensors.Select(p => new TensorSummary(p.Key, p.Value.Shape, p.Value.Type))) with
        {
            Weights = preset is null && source.Weights.Kind == WeightsKind.Model ? null : source.KindName,
            Preset = preset,
            Step = source.Step,
            ClassNames = source.Config?.ClassNames ?? (preset is null ? null : ClassNamesOf(source)),
            Condition = GptInference.FindText(shapes) is { } text ? Describe(text, source.Config) : null,
            Text = source.Weights.Metadata.Count > 0 ? source.Weights.Metadata : null,
        };
    }

    /// <summary>What a model takes that draws from prompts.</summary>
    private static string Describe(TextCondition text, CheckpointConfig? config)
    {
        var origin = config?.TextFeatures?.MaxBy(features => features.Share);
        return $"prompts: up to {text.TokenCount} tokens of {text.FeatureWidth} numbers each, "
            + (origin?.Encoder is { } encoder ? $"by the text encoder {encoder}" : text.FeatureWidth == 2048
                ? "by a text encoder that the file does not name (published models: flan-t5-xl)"
                : "by a text encoder that the file does not name");
    }

    /// <summary>The names that <c>sample</c> would take.</summary>
    private static IReadOnlyList<string>? ClassNamesOf(ModelSource source)
    {
        try
        {
            return source.ResolveConfig().ClassNames is { Count: > 0 } names ? names : null;
        }
        catch (ConfigException)
        {
            return null; // text-conditional
        }
    }

    private static FileSummary Png(string path)
    {
        using var stream = StoredFile.OpenRead(path);
        try
        {
            return new FileSummary { Format = "png", Path = path, Text = PngText.Read(stream) };
        }
        catch (DataFormatException e)
        {
            throw new DataFormatException($"'{path}': {e.Message}", e);
        }
    }

    private static FileSummary SummarizeTensors(string format, string path, IEnumerable<TensorSummary> tensors)
    {
        var all = tensors.ToList();
        return new FileSummary
        {
            Format = format, Path = path, Tensors = all, ParameterCount = all.Sum(t => HostTensor.CountElements(t.Shape))
        };
    }

    private static TensorSummary NpyTensor(string path)
    {
        using var stream = StoredFile.OpenRead(path);
        var header = NpyFile.ReadHeader(stream, path);
        return new TensorSummary(Path.GetFileNameWithoutExtension(path), header.Shape, header.Type);
    }

    private static Dictionary<string, long> FilesOf(string folder)
        => new DirectoryInfo(folder).EnumerateFiles().OrderBy(f => f.Name, StringComparer.Ordinal).ToDictionary(f => f.Name, f => f.Length);
}
