using System.Globalization;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Checkpoints.PyTorch;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Checkpoints.Zip;
using NextPatch.Core.Files;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Checkpoints;

/// <summary>The weights of one model in whatever form they were saved, open for reading.</summary>
/// <remarks>
/// Understood: <c>.pt</c>, <c>.pth</c>, <c>.th</c>, <c>.bin</c> and <c>.ckpt</c> of torch.save with the weights under "model" (LlamaGen, NPP),
/// "module" (DeepSpeed), "state_dict" or at the top (FSDP); <c>.safetensors</c> and their <c>.index.json</c>; <c>.npz</c> and <c>.npy</c>; folders
/// with
/// <c>model.safetensors</c> (and <c>ema.safetensors</c>) or <c>pytorch_model.bin</c>. What a file is its first bytes say; its extension counts
/// only where they say nothing.
/// </remarks>
public sealed class WeightsFile : IDisposable
{
    private const string Understood =
        "Weights are read from .pt, .pth, .th, .bin, .ckpt, .safetensors, .safetensors.index.json, .npz and .npy files, and from folders with "
        + "model.safetensors";

    // Training scripts count under various names.
    private static readonly string[] StepKeys = ["steps", "step", "global_steps", "global_step", "train_steps"];

    private readonly IDisposable _source;

    private WeightsFile(
        string path, WeightsKind kind, IEnumerable<KeyValuePair<string, StoredTensor>> tensors, IDisposable source,
        IReadOnlyDictionary<string, string>? metadata = null)
    {
        Metadata = metadata ?? new Dictionary<string, string>();
        _source = source;
        Path = path;
        Kind = kind;
        Stored = [.. tensors];
        Tensors = Int8Panels.Merge(Int8Quantization.Merge(StateMap.Clean(Stored, path)), Metadata, path);
        RotaryTable = StateMap.RotaryTableOf(Stored);
    }

    /// <summary>The file that is open; of a folder, the one inside.</summary>
    public string Path { get; }

    /// <summary><see cref="WeightsKind.Model"/> or <see cref="WeightsKind.Ema"/>: which weights these are.</summary>
    public WeightsKind Kind { get; }

    /// <summary>Tensors by state key, without the prefixes of wrappers and without "freqs_cis"; quantised ones in float32.</summary>
    public IReadOnlyDictionary<string, StoredTensor> Tensors { get; }

    /// <summary>The same by the names in the file, with everything that was left out.</summary>
    public IReadOnlyList<KeyValuePair<string, StoredTensor>> Stored { get; }

    /// <summary>"freqs_cis", [1 + codes, head width / 2, 2], where the file has it: it tells grid and head width.</summary>
    public StoredTensor? RotaryTable { get; }

    /// <summary>Optimiser steps done; null where the file does not say.</summary>
    public long? Step { get; private init; }

    /// <summary>What else the file holds, by key: settings, counters, optimiser state; empty but for .pt files.</summary>
    public IReadOnlyDictionary<string, object?> Others { get; private init; } = new Dictionary<string, object?>();

    /// <summary>Free text of a safetensors file.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <param name="path">A file or a folder.</param>
    /// <param name="kind">Which weights, where there is a choice.</param>
    /// <exception cref="DataFormatException">Damaged, or without such weights.</exception>
    /// <exception cref="NextPatchException">Nothing of a known kind is there.</exception>
    public static WeightsFile Open(string path, WeightsKind kind = WeightsKind.Auto)
    {
        if (Directory.Exists(path))
        {
            return OpenFolder(path, kind);
        }

        return FormatOf(path) switch
        {
            WeightsFormat.PyTorch => OpenPyTorch(path, kind),
            WeightsFormat.Safetensors => From(SafetensorsFile.Open(path), kind),
            WeightsFormat.Npz => From(NpzFile.Open(path), kind),
            WeightsFormat.Npy => From(NpyFile.Open(path), kind),
            _ => throw new NextPatchException(
                File.Exists(path)
                    ? $"'{path}' is of no known kind.{FileContents.Remark(path)} {Understood}."
                    : $"File '{path}' does not exist; check the path."),
        };
    }

    /// <summary>The format of a file: what its first bytes say, else what its extension promises; null for none of these.</summary>
    /// <exception cref="NextPatchException">It cannot be read, is a damaged archive, or plainly something else.</exception>
    internal static WeightsFormat? FormatOf(string path)
    {
        var extension = System.IO.Path.GetExtension(path).ToUpperInvariant();
        switch (File.Exists(path) ? FileContents.From(path) : FileContent.Unknown)
        {
            case FileContent.Safetensors: return WeightsFormat.Safetensors;
            case FileContent.Npy: return WeightsFormat.Npy;
            case FileContent.Pickle: return WeightsFormat.PyTorch;
            case FileContent.Zip when IsPyTorch(path): return WeightsFormat.PyTorch;
            case FileContent.Zip: return WeightsFormat.Npz;
            case FileContent.Unknown: break;
            case FileContent.Json when extension == ".JSON": break;
            default: throw new DataFormatException($"'{path}' holds no weights.{FileContents.Remark(path)} {Understood}.");
        }

        return extension switch
        {
            ".PT" or ".PTH" or ".TH" or ".BIN" or ".CKPT" => WeightsFormat.PyTorch,
            ".SAFETENSORS" or ".JSON" => WeightsFormat.Safetensors,
            ".NPZ" => WeightsFormat.Npz,
            ".NPY" => WeightsFormat.Npy,
            _ => null,
        };
    }

    private static bool IsPyTorch(string path)
    {
        using var zip = new StoredZip(path);
        return zip.Names.Any(name => name == "data.pkl" || name.EndsWith("/data.pkl", StringComparison.Ordinal));
    }

    /// <summary>The files that make up the weights of a folder: one, or an index of several; null if there is none of this kind.</summary>
    public static string? FindIn(string folder, WeightsKind kind)
    {
        List<string> names = kind switch
        {
            WeightsKind.Ema => ["ema.safetensors"],
            WeightsKind.Model => ["model.safetensors", SafetensorsIndex.FileName, "pytorch_model.bin"],
            _ => ["ema.safetensors", "model.safetensors", SafetensorsIndex.FileName, "pytorch_model.bin"],
        };
        return names.Select(name => System.IO.Path.Combine(folder, name)).FirstOrDefault(File.Exists);
    }

    /// <inheritdoc/>
    public void Dispose() => _source.Dispose();

    private static WeightsFile OpenFolder(string folder, WeightsKind kind)
    {
        var file = FindIn(folder, kind) ?? throw new NextPatchException(
            kind == WeightsKind.Ema && FindIn(folder, WeightsKind.Model) is not null
                ? $"'{folder}' has no ema.safetensors, the EMA weights; ask for its model weights instead."
                : $"The folder '{folder}' holds no weights. {Understood}.");
        if (kind == WeightsKind.Auto && CheckpointSums.MissingIn(folder).Contains("ema.safetensors"))
        {
            throw new DataFormatException(
                $"'{folder}' lacks ema.safetensors, the EMA weights, which its {CheckpointSums.FileName} lists; restore it, take another "
                    + $"checkpoint, or "
                + $"ask for the model weights.");
        }

        var isAverage = System.IO.Path.GetFileName(file).StartsWith("ema", StringComparison.Ordinal);
        return file.EndsWith(".bin", StringComparison.Ordinal)
            ? OpenPyTorch(file, kind)
            : From(SafetensorsFile.Open(file), isAverage ? WeightsKind.Ema : WeightsKind.Model, isAverage);
    }

    /// <summary>A file that holds one set of weights, so there is nothing to choose.</summary>
    private static WeightsFile From(TensorFile file, WeightsKind kind, bool isAverage = false)
    {
        var written = file.Metadata.GetValueOrDefault("weights");
        isAverage |= written == "ema";
        if (kind == WeightsKind.Ema && !isAverage)
        {
            file.Dispose();
            throw new DataFormatException(
                $"'{file.Path}' holds one set of weights and does not say that it is an average; leave the choice to auto or ask for the model "
                + $"weights.");
        }

        return Guarded(file, () => new WeightsFile(file.Path, isAverage ? WeightsKind.Ema : WeightsKind.Model, file.Tensors, file, file.Metadata)
        {
            Step = long.TryParse(file.Metadata.GetValueOrDefault("step"), NumberStyles.None, CultureInfo.InvariantCulture, out var step)
                ? step
                : null,
        });
    }

    private static WeightsFile OpenPyTorch(string path, WeightsKind kind)
    {
        var checkpoint = PyTorchFile.Open(path);
        return Guarded(checkpoint, () =>
        {
            List<string> keys = [.. kind == WeightsKind.Model ? [] : StateMap.EmaKeys, .. kind == WeightsKind.Ema ? [] : StateMap.ModelKeys,
                .. kind == WeightsKind.Ema ? [] : (string[])[""]];
            var (key, weights) = StateMap.Find(checkpoint.Content, keys, path) ?? throw checkpoint.WithoutWeights(keys);
            var others = ((Dictionary<object, object?>)checkpoint.Content!).Where(p => key.Length > 0 && p.Key is string name && name != key)
                .ToDictionary(p => (string)p.Key, p => p.Value);
            return new WeightsFile(
                path, StateMap.EmaKeys.Contains(key) ? WeightsKind.Ema : WeightsKind.Model, StateMap.TensorsOf(weights), checkpoint)
            {
                Others = others,
                Step = StepKeys.Select(name => others.GetValueOrDefault(name) as long?).FirstOrDefault(step => step is not null),
            };
        });
    }

    private static WeightsFile Guarded(IDisposable source, Func<WeightsFile> open)
    {
        try
        {
            return open();
        }
        catch
        {
            source.Dispose();
            throw;
        }
    }
}

/// <summary>How weights are stored.</summary>
internal enum WeightsFormat
{
    PyTorch,
    Safetensors,
    Npz,
    Npy,
}

/// <summary>Which weights of a training checkpoint are meant.</summary>
public enum WeightsKind
{
    /// <summary>The average over training where there is one, else the model itself.</summary>
    Auto,

    /// <summary>The weights that were trained.</summary>
    Model,

    /// <summary>Their exponential moving average.</summary>
    Ema,
}
