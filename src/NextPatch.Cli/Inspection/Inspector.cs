using System.IO.Compression;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Core.Imaging;
using NextPatch.Data.Codes;
using NextPatch.Training.Gpt;

namespace NextPatch.Cli.Inspection;

/// <summary>Describes files and folders without loading their tensors where the format allows it (.pt files do not).</summary>
internal static class Inspector
{
    private const string Understood = "Understood are checkpoint, run, tokenizer and code folders, and .safetensors, .pt, .npz, .npy and .png files.";

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

        return Path.GetExtension(path).ToUpperInvariant() switch
        {
            ".SAFETENSORS" => Safetensors(path),
            ".PT" or ".PTH" or ".BIN" => OfTensors("pytorch", path, PyTorchFile.ReadStateDict(path).Select(p => new TensorSummary(p.Key, p.Value.Shape, p.Value.Type))),
            ".NPZ" => OfTensors("npz", path, NpzHeaders(path)),
            ".NPY" => OfTensors("npy", path, [NpyTensor(path)]),
            ".PNG" => Png(path),
            _ => throw new NextPatchException($"'{path}' is of no known kind. {Understood}"),
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

        if (File.Exists(Path.Combine(folder, "model.safetensors")))
        {
            return File.Exists(Path.Combine(folder, "state.json")) ? Checkpoint(folder) : Weights(folder);
        }

        throw new NextPatchException($"The folder '{folder}' holds neither codes.npy, nor latest, nor model.safetensors. {Understood}");
    }

    private static FileSummary Checkpoint(string folder)
    {
        var config = ConfigJson.Read(Path.Combine(folder, "config.json"), ConfigJson.Default.CheckpointConfig);
        var state = ConfigJson.Read(Path.Combine(folder, "state.json"), ConfigJson.Default.RunState);
        return Safetensors(Path.Combine(folder, "model.safetensors")) with
        {
            Format = "checkpoint", Path = folder, Step = state.Step, ClassNames = config.ClassNames, Configuration = config, Files = FilesOf(folder),
        };
    }

    /// <summary>Weights with a configuration but without a run: a tokenizer, or a model from elsewhere.</summary>
    private static FileSummary Weights(string folder)
    {
        var weights = Safetensors(Path.Combine(folder, "model.safetensors"));
        var isTokenizer = weights.Tensors!.Any(t => t.Name.StartsWith("quantize.", StringComparison.Ordinal));
        var config = Path.Combine(folder, "config.json");
        var described = weights with { Format = isTokenizer ? "tokenizer" : "checkpoint", Path = folder, Files = FilesOf(folder) };
        if (!File.Exists(config))
        {
            return described;
        }

        if (isTokenizer)
        {
            return described with { Configuration = ConfigJson.Read(config, ConfigJson.Default.TokenizerConfig) };
        }

        var model = ConfigJson.Read(config, ConfigJson.Default.CheckpointConfig);
        return described with { Configuration = model, ClassNames = model.ClassNames };
    }

    private static FileSummary Codes(string folder)
    {
        using var store = CodeStore.Open(folder);
        return OfTensors("codes", folder, [NpyTensor(Path.Combine(folder, "codes.npy")), NpyTensor(Path.Combine(folder, "labels.npy"))]) with
        {
            ParameterCount = null, ClassNames = store.Manifest.ClassNames, Configuration = store.Manifest, Files = FilesOf(folder),
        };
    }

    private static FileSummary Safetensors(string path)
    {
        var header = SafetensorsFile.ReadHeader(path);
        var summary = OfTensors("safetensors", path, header.Entries.Values.Select(e => new TensorSummary(e.Name, e.Shape, e.Type)));
        return header.Metadata.Count > 0 ? summary with { Text = header.Metadata } : summary;
    }

    private static FileSummary Png(string path)
    {
        using var stream = File.OpenRead(path);
        return new FileSummary { Format = "png", Path = path, Text = PngText.Read(stream) };
    }

    private static FileSummary OfTensors(string format, string path, IEnumerable<TensorSummary> tensors)
    {
        var all = tensors.ToList();
        return new FileSummary
        {
            Format = format, Path = path, Tensors = all, ParameterCount = all.Sum(t => HostTensor.CountElements(t.Shape)), Preset = PresetInference.Find(all),
        };
    }

    private static TensorSummary NpyTensor(string path)
    {
        using var stream = File.OpenRead(path);
        var header = NpyFile.ReadHeader(stream, path);
        return new TensorSummary(Path.GetFileNameWithoutExtension(path), header.Shape, header.Type);
    }

    private static List<TensorSummary> NpzHeaders(string path)
    {
        try
        {
            using var archive = ZipFile.OpenRead(path);
            return [.. archive.Entries.Select(entry =>
            {
                using var member = entry.Open();
                var header = NpyFile.ReadHeader(member, $"{path}: {entry.FullName}");
                return new TensorSummary(Path.GetFileNameWithoutExtension(entry.FullName), header.Shape, header.Type);
            })];
        }
        catch (InvalidDataException e)
        {
            throw new DataFormatException($"'{path}' is not a NumPy archive: {e.Message}", e);
        }
    }

    private static Dictionary<string, long> FilesOf(string folder)
        => new DirectoryInfo(folder).EnumerateFiles().OrderBy(f => f.Name, StringComparer.Ordinal).ToDictionary(f => f.Name, f => f.Length);
}
