using NextPatch.Cli.Inspection;
using NextPatch.Cli.Models;
using NextPatch.Core;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Checkpoints.PyTorch;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Tensors;

namespace NextPatch.Cli.Conversion;

/// <summary>Writes weights in another format, part by part: memory does not grow with their size.</summary>
internal static class Converter
{
    /// <param name="request">What to do.</param>
    /// <param name="onBytes">Told how many bytes are written and how many there are; what it throws ends the conversion without a trace.</param>
    /// <param name="cancellation">Ends the conversion without a trace.</param>
    /// <exception cref="ConfigException">The output is of no known kind or is the input, or an option does not fit.</exception>
    /// <exception cref="NextPatchException">The input is damaged, or the output cannot be written.</exception>
    public static ConversionResult Run(ConversionRequest request, Action<long, long>? onBytes = null, CancellationToken cancellation = default)
    {
        var format = FormatOf(request);
        using var source = ModelSource.Open(request.Input, request.Weights);
        RequireOther(request, source);
        var tensors = source.Weights.Tensors.Select(p => KeyValuePair.Create(p.Key, request.Type is { } type ? p.Value.As(type) : p.Value)).ToList();
        if (format == OutputFormat.Npz)
        {
            RequireKnownToNumPy(tensors, request.Output);
        }

        var total = tensors.Sum(t => t.Value.ByteCount);
        var done = 0L;
        var watched = tensors.ConvertAll(p => KeyValuePair.Create(p.Key, p.Value.Watched(bytes =>
        {
            cancellation.ThrowIfCancellationRequested();
            done += bytes;
            onBytes?.Invoke(done, total);
        })));
        if (Path.GetDirectoryName(Path.GetFullPath(request.Output)) is { } parent)
        {
            Directory.CreateDirectory(parent);
        }

        switch (format)
        {
            case OutputFormat.PyTorch: PyTorchFile.Write(request.Output, watched); break;
            case OutputFormat.Safetensors: SafetensorsFile.Write(request.Output, watched, MetadataOf(source)); break;
            case OutputFormat.Npz: NpzFile.Write(request.Output, watched); break;
            default: ModelFolder.Write(request, source, watched, MetadataOf(source), cancellation); break;
        }

        return new ConversionResult(
            request.Output, NameOf(format), tensors.Count, tensors.Sum(t => t.Value.Count), source.KindName,
            [.. tensors.GroupBy(t => t.Value.Type).OrderByDescending(g => g.Sum(t => t.Value.ByteCount)).Select(g => TensorSummary.NameOf(g.Key))], total);
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

    private static OutputFormat FormatOf(ConversionRequest request)
    {
        var output = request.Output;
        var format = Directory.Exists(output) || Path.EndsInDirectorySeparator(output) ? OutputFormat.Folder : Path.GetExtension(output).ToUpperInvariant() switch
        {
            ".PT" or ".PTH" => OutputFormat.PyTorch,
            ".SAFETENSORS" => OutputFormat.Safetensors,
            ".NPZ" => OutputFormat.Npz,
            "" => OutputFormat.Folder,
            var other => throw new ConfigException($"'{output}' ends in '{other}', which says no format that can be written: .pt, .pth, .safetensors, .npz, or a folder (no extension, an existing folder, or a / at the end)."),
        };
        return format == OutputFormat.Folder || (request.Tokenizer ?? request.License) is null
            ? format
            : throw new ConfigException($"--tokenizer and --license are for folders, but '{output}' is a file; leave them out.");
    }

    private static void RequireOther(ConversionRequest request, ModelSource source)
    {
        string[] read = [request.Input, source.Weights.Path, .. SafetensorsIndex.IsIndex(source.Weights.Path) ? SafetensorsIndex.FilesOf(source.Weights.Path) : []];
        if (read.Select(RealPath).Contains(RealPath(request.Output)))
        {
            throw new ConfigException($"'{request.Output}' is what is read; write to another name.");
        }
    }

    /// <summary>The path behind a link, for comparison.</summary>
    private static string RealPath(string path)
    {
        var full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        FileSystemInfo info = Directory.Exists(full) ? new DirectoryInfo(full) : new FileInfo(full);
        return info.Exists && info.ResolveLinkTarget(returnFinalTarget: true) is { } target ? target.FullName : full;
    }

    private static void RequireKnownToNumPy(List<KeyValuePair<string, StoredTensor>> tensors, string output)
    {
        if (tensors.Find(t => t.Value.Type is ElementType.BFloat16 or ElementType.Float8E4M3 or ElementType.Float8E5M2) is { Key: { } name, Value: { } tensor })
        {
            throw new ConfigException($"'{name}' is {TensorSummary.NameOf(tensor.Type)}, which NumPy does not have, so it cannot be kept in '{output}'; convert it with --dtype f32.");
        }
    }

    /// <summary>What the input says about itself, and which weights these are.</summary>
    private static Dictionary<string, string> MetadataOf(ModelSource source)
    {
        var metadata = new Dictionary<string, string>(source.Weights.Metadata) { ["format"] = "pt", ["weights"] = source.KindName };
        if (source.Step is { } step)
        {
            metadata["step"] = $"{step}";
        }

        return metadata;
    }
}
