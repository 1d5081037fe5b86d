using NextPatch.Conversion;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Checkpoints.PyTorch;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Tensors;
using NextPatch.Models;

namespace NextPatch;

/// <summary>Writes weights in another format, part by part: memory does not grow with their size.</summary>
public static class WeightsConverter
{
    // In an archive a name is a path and takes at most 64 KiB.
    private const int LongestName = 10_000;

    /// <summary>Converts weights. Several threads may each write an output of their own.</summary>
    /// <param name="input">A run (its newest checkpoint), a checkpoint or model folder, or a file: .pt, .pth, .th, .bin, .ckpt, .safetensors,
    /// .safetensors.index.json, .npz, .npy.</param>
    /// <param name="output">The extension is the format: .pt, .pth, .safetensors, .npz; without one, or an existing folder: a folder in the layout of
    /// Hugging Face.</param>
    /// <param name="options">Null: the defaults.</param>
    /// <param name="progress">Told what is written; what it throws ends the conversion without a trace.</param>
    /// <param name="cancellation">Ends the conversion without a trace.</param>
    /// <exception cref="ConfigException">The output is of no known kind or is the input, or an option does not fit.</exception>
    /// <exception cref="NextPatchException">The input is damaged, or the output cannot be written.</exception>
    public static WeightsConversionResult Convert(
        string input, string output, WeightsConversionOptions? options = null, IProgress<WeightsConversionProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        options ??= new WeightsConversionOptions();
        var format = FormatOf(output, options);
        using var source = ModelSource.Open(input, options.Weights);
        RequireOther(input, output, source);
        var tensors = source.Weights.Tensors.Select(p => KeyValuePair.Create(p.Key, options.Type is { } type ? p.Value.As(type) : p.Value)).ToList();
        RequireNames(tensors.Select(t => t.Key), output, format);
        if (format == OutputFormat.Npz)
        {
            RequireKnownToNumPy(tensors, output);
        }

        var total = tensors.Sum(t => t.Value.ByteCount);
        var done = 0L;
        var watched = tensors.ConvertAll(p => KeyValuePair.Create(p.Key, p.Value.Watched(bytes =>
        {
            cancellation.ThrowIfCancellationRequested();
            done += bytes;
            progress?.Report(new WeightsConversionProgress(done, total));
        })));
        if (Path.GetDirectoryName(Path.GetFullPath(output)) is { } parent)
        {
            Directory.CreateDirectory(parent);
        }

        switch (format)
        {
            case OutputFormat.PyTorch: PyTorchFile.Write(output, watched); break;
            case OutputFormat.Safetensors: SafetensorsFile.Write(output, watched, WithConfig(MetadataOf(source), source)); break;
            case OutputFormat.Npz: NpzFile.Write(output, watched); break;
            default:
                new ModelFolder(output, options.Tokenizer, options.License, options.MaxShardBytes)
                .Write(source, source.ResolveConfig(options.ImageSize), watched, MetadataOf(source), cancellation); break;
        }

        if (format is OutputFormat.PyTorch or OutputFormat.Npz)
        {
            FileConfig.WriteBeside(output, FileConfig.From(source)); // neither format has room for a text that others pass over
        }

        return new WeightsConversionResult(
            output, NameOf(format), tensors.Count, tensors.Sum(t => t.Value.Count), source.KindName,
            [.. tensors.GroupBy(t => t.Value.Type).OrderByDescending(g => g.Sum(t => t.Value.ByteCount)).Select(g => ElementTypes.NameOf(g.Key))],
                total);
    }

    private enum OutputFormat
    {
        PyTorch,
        Safetensors,
        Npz,
        Folder,
    }

#pragma warning disable CA1308 // Names of formats are lower case.
    private static string NameOf(OutputFormat format) => format.ToString().ToLowerInvariant();
#pragma warning restore CA1308

    private static OutputFormat FormatOf(string output, WeightsConversionOptions options)
    {
        var format = Directory.Exists(output) || Path.EndsInDirectorySeparator(output)
            ? OutputFormat.Folder
            : Path.GetExtension(output).ToUpperInvariant() switch
            {
                ".PT" or ".PTH" => OutputFormat.PyTorch,
                ".SAFETENSORS" => OutputFormat.Safetensors,
                ".NPZ" => OutputFormat.Npz,
                "" => OutputFormat.Folder,
                var other => throw new ConfigException(
                    $"'{output}' ends in '{other}', which says no format that can be written: .pt, .pth, .safetensors, .npz, or a folder (no "
                    + $"extension, an existing folder, or a / at the end)."),
            };
        return format == OutputFormat.Folder || (options.Tokenizer, options.License, options.ImageSize) is (null, null, null)
            ? format
            : throw new ConfigException($"Tokenizer, License and ImageSize are for folders, but '{output}' is a file; leave them out.")
            {
                Settings = ["Tokenizer", "License", "ImageSize"],
            };
    }

    private static void RequireOther(string input, string output, ModelSource source)
    {
        string[] read = [input, source.Weights.Path,
            .. SafetensorsIndex.IsIndex(source.Weights.Path) ? SafetensorsIndex.FilesOf(source.Weights.Path) : []];
        if (read.Select(RealPath).Contains(RealPath(output)))
        {
            throw new ConfigException($"'{output}' is what is read; write to another name.");
        }
    }

    /// <summary>The path behind a link, for comparison.</summary>
    private static string RealPath(string path)
    {
        var full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        FileSystemInfo info = Directory.Exists(full) ? new DirectoryInfo(full) : new FileInfo(full);
        return info.Exists && info.ResolveLinkTarget(returnFinalTarget: true) is { } target ? target.FullName : full;
    }

    /// <summary>Refuses names that the output cannot hold.</summary>
    private static void RequireNames(IEnumerable<string> names, string output, OutputFormat format)
    {
        var isSafetensors = format is OutputFormat.Safetensors or OutputFormat.Folder;
        if (names.FirstOrDefault(n => n.Length > LongestName || (isSafetensors && n == "__metadata__")) is { } name)
        {
            var reason = name.Length > LongestName
                ? $"it has more than {LongestName} characters"
                : "safetensors files keep their own notes under it";
            throw new ConfigException(
                $"The tensor name {StoredFile.Quote(name)} cannot be kept in '{output}': {reason}; give the tensor another name, or "
                + $"convert to another format.");
        }
    }

    private static void RequireKnownToNumPy(List<KeyValuePair<string, StoredTensor>> tensors, string output)
    {
        if (tensors.Find(
            t => t.Value.Type is ElementType.BFloat16 or ElementType.Float8E4M3 or ElementType.Float8E5M2) is { Key: { } name, Value: { } tensor })
        {
            throw new ConfigException(
                $"'{name}' is {ElementTypes.NameOf(tensor.Type)}, which NumPy does not have, so it cannot be kept in '{output}'; convert it with "
                + $"Type Float32.")
            {
                Settings = ["Type Float32"],
            };
        }
    }

    private static Dictionary<string, string> WithConfig(Dictionary<string, string> metadata, ModelSource source)
    {
        if (FileConfig.From(source) is { } config)
        {
            metadata[FileConfig.MetadataKey] = FileConfig.Write(config);
        }

        return metadata;
    }

    /// <summary>What the input says about itself, and which weights these are.</summary>
    private static Dictionary<string, string> MetadataOf(ModelSource source)
    {
        var metadata = new Dictionary<string, string>(source.Weights.Metadata) { ["format"] = "pt", ["weights"] = source.KindName };
        metadata.Remove(Int8Panels.MetadataKey); // tensors are written as they are read
        if (source.Step is { } step)
        {
            metadata["step"] = $"{step}";
        }

        return metadata;
    }
}

/// <summary>How <see cref="WeightsConverter"/> writes.</summary>
public sealed record WeightsConversionOptions
{
    /// <summary>Which weights, where there is a choice: by default their average over training where there is one.</summary>
    public WeightsKind Weights { get; init; }

    /// <summary>Element type of floating-point tensors; null keeps each as it is.</summary>
    public ElementType? Type { get; init; }

    /// <summary>Folders only: most bytes of tensors in a file.</summary>
    public long MaxShardBytes { get; init; } = 5_000_000_000;

    /// <summary>Folders only: the tokenizer to put beside the model; null = the input's, where it has one.</summary>
    public string? Tokenizer { get; init; }

    /// <summary>Folders only: side of the images in pixels, for files that do not say it; null = 256.</summary>
    public int? ImageSize { get; init; }

    /// <summary>Folders only: the licence that the model card names.</summary>
    public string? License { get; init; }
}

/// <summary>How far a conversion is.</summary>
/// <param name="DoneBytes">Bytes of tensors that are written.</param>
/// <param name="TotalBytes">Bytes of all tensors.</param>
public readonly record struct WeightsConversionProgress(long DoneBytes, long TotalBytes);

/// <summary>What <see cref="WeightsConverter"/> wrote.</summary>
/// <param name="Path">The file or folder.</param>
/// <param name="Format">pytorch, safetensors, npz or folder.</param>
/// <param name="Tensors">Number of tensors.</param>
/// <param name="ParameterCount">Elements of all of them.</param>
/// <param name="Weights">ema or model: which of the input were taken.</param>
/// <param name="Dtypes">Element types, most bytes first.</param>
/// <param name="Bytes">Size of the tensors.</param>
public sealed record WeightsConversionResult(
    string Path, string Format, int Tensors, long ParameterCount, string Weights, IReadOnlyList<string> Dtypes, long Bytes);
