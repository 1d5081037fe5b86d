using System.Globalization;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Files;
using NextPatch.Core.Tensors;
using NextPatch.Evaluation.Metrics;
using NextPatch.Torch.Loading;

namespace NextPatch.Evaluation.Protocol;

// Shape letters used in this file: D pooled features, S spatial features.

/// <summary>
/// Files of mean and covariance: our own (safetensors with <c>mu</c>, <c>sigma</c>, <c>mu_s</c>, <c>sigma_s</c> in float64 and their origin as
/// metadata), the published npz with the same names, and any safetensors file with pairs such as <c>train_mu</c>, <c>train_sigma</c>.
/// </summary>
internal static class StatisticsFile
{
    private const string MeanName = "mu";
    private const string CovarianceName = "sigma";
    private const string SpatialEnding = "_s";
    private const string FormatName = "nextpatch-statistics";

    /// <summary>Reads the statistics of a file.</summary>
    /// <param name="path">An npz or safetensors file.</param>
    /// <param name="part">Which pair, where the file holds several: "train" for <c>train_mu</c>.</param>
    /// <returns>Null where the file holds no statistics.</returns>
    /// <exception cref="ConfigException">The file holds several pairs and <paramref name="part"/> names none of them.</exception>
    /// <exception cref="DataFormatException">Damaged, or mean and covariance do not fit each other.</exception>
    public static StoredStatistics? TryRead(string path, string? part)
    {
        NativeBackend.EnsureLoaded(); // before libtorch looks at the covariance
        using var file = Open(path);
        if (file is null || Prefixes(file) is not { Length: > 0 } prefixes)
        {
            return null;
        }

        var prefix = Choose(path, prefixes, part);
        var (mean, covariance) = ReadPair(file, prefix + MeanName, prefix + CovarianceName);
        var hasSpatial = file.Tensors.ContainsKey(prefix + MeanName + SpatialEnding)
            || file.Tensors.ContainsKey(prefix + CovarianceName + SpatialEnding);
        var (spatialMean, spatialCovariance) = hasSpatial
            ? ReadPair(file, prefix + MeanName + SpatialEnding, prefix + CovarianceName + SpatialEnding)
            : default;
        return new StoredStatistics
        {
            Mean = mean,
            Covariance = covariance,
            SpatialMean = spatialMean,
            SpatialCovariance = spatialCovariance,
            Images = ReadImages(file, prefix.Length > 0 ? prefix.TrimEnd('_') : part),
            Features = IsOurs(file)
                ? new FeatureOrigin(
                    Text(file, "network"), Text(file, "weightsHash"), Text(file, "resize"), Number(file, "height"), Number(file, "width"),
                    Text(file, "grey") == "true")
                : null,
        };
    }

    /// <summary>Writes statistics; the file appears once it is complete.</summary>
    /// <exception cref="NextPatchException">The file cannot be written.</exception>
    public static void Write(string path, StoredStatistics statistics)
    {
        var (images, features) =
            (statistics.Images, statistics.Features ?? throw new ArgumentException(
            "Statistics of unknown origin are not written.", nameof(statistics)));
        var tensors = new List<KeyValuePair<string, HostTensor>>();
        Add(tensors, "", statistics.Mean, statistics.Covariance);
        if (statistics is { SpatialMean: { } mean, SpatialCovariance: { } covariance })
        {
            Add(tensors, SpatialEnding, mean, covariance);
        }

        var text = new Dictionary<string, string>
        {
            ["format"] = FormatName, ["name"] = images.Name, ["hash"] = images.Hash, ["hashOf"] = images.HashOf,
            ["images"] = Write(images.Images ?? 0), ["network"] = features.Network, ["weightsHash"] = features.WeightsHash,
            ["resize"] = features.Resize,
            ["height"] = Write(features.Height), ["width"] = Write(features.Width), ["grey"] = features.IsGrey == true ? "true" : "false",
        };
        if (images.Part is { } part)
        {
            text["part"] = part;
        }

        SafetensorsFile.Write(path, tensors, text);
    }

    private static TensorFile? Open(string path)
        => !File.Exists(path) ? null
            : FileContents.From(path) switch
            {
                FileContent.Zip when path.EndsWith(".npz", StringComparison.OrdinalIgnoreCase) || WeightsFile.FormatOf(path) == WeightsFormat.Npz
                    => NpzFile.Open(path),
                FileContent.Safetensors => SafetensorsFile.Open(path),
                _ => path.EndsWith(".npz", StringComparison.OrdinalIgnoreCase) ? NpzFile.Open(path)
                    : path.EndsWith(".safetensors", StringComparison.OrdinalIgnoreCase) ? SafetensorsFile.Open(path)
                    : null,
            };

    /// <summary>What stands before "mu" where "sigma" is there too: "" or "train_".</summary>
    private static string[] Prefixes(TensorFile file)
        => [.. file.Tensors.Keys
            .Where(n => n == MeanName || n.EndsWith("_" + MeanName, StringComparison.Ordinal))
            .Select(n => n[..^MeanName.Length])
            .Where(p => file.Tensors.ContainsKey(p + CovarianceName))];

    private static string Choose(string path, string[] prefixes, string? part)
        => prefixes is [""] ? "" // whatever part it is said to be
            : part is not null && prefixes.Contains(part + "_") ? part + "_"
            : part is null && prefixes is [var only] ? only
            : throw new ConfigException(
                $"'{path}' holds the statistics {string.Join(", ", prefixes.Select(p => p + MeanName))}; choose with ReferencePart "
                + $"{string.Join(" or ", prefixes.Select(p => p.TrimEnd('_')))}.")
            { Settings = ["ReferencePart"] };

    private static (double[] Mean, double[] Covariance) ReadPair(TensorFile file, string meanName, string covarianceName)
    {
        var (mean, covariance) = (file.Tensors.GetValueOrDefault(meanName), file.Tensors.GetValueOrDefault(covarianceName));
        if (mean is null || covariance is null || mean.Shape is not [> 0] || covariance.Shape.Count != 2
            || covariance.Shape.Any(extent => extent != mean.Shape[0]) || !mean.Type.IsFloating() || !covariance.Type.IsFloating())
        {
            throw new DataFormatException(
                $"'{file.Path}' has {meanName} {mean?.ToString() ?? "missing"} and {covarianceName} {covariance?.ToString() ?? "missing"}; "
                    + $"expected a mean of D features "
                + $"and a covariance [D, D].");
        }

        var pair = (Mean: mean.Read().ToDoubles(), Covariance: covariance.Read().ToDoubles());
        return FeatureStatistics.ProblemOf(pair.Mean, pair.Covariance) is { } problem
            ? throw new DataFormatException(
                $"'{file.Path}': the statistics {meanName} and {covarianceName} {problem}; make them again with the weights of a trained network.")
            : pair;
    }

    private static void Add(List<KeyValuePair<string, HostTensor>> tensors, string ending, double[] mean, double[] covariance)
    {
        tensors.Add(new(MeanName + ending, HostTensor.From<double>(ElementType.Float64, [mean.Length], mean)));
        tensors.Add(new(CovarianceName + ending, HostTensor.From<double>(ElementType.Float64, [mean.Length, mean.Length], covariance)));
    }

    private static bool IsOurs(TensorFile file) => file.Metadata.GetValueOrDefault("format") == FormatName;

    private static ImageOrigin ReadImages(TensorFile file, string? part) => IsOurs(file)
        ? new ImageOrigin
        {
            Name = Text(file, "name"), Layout = "statistics", Part = file.Metadata.GetValueOrDefault("part"), Hash = Text(file, "hash"),
            HashOf = Text(file, "hashOf"), Images = Number(file, "images"),
        }
        : new ImageOrigin
        {
            Name = Path.GetFileName(file.Path), Layout = "statistics", Part = part, Hash = FileHash.Compute(file.Path), HashOf = "file",
        };

    private static string Text(TensorFile file, string key) => file.Metadata.TryGetValue(key, out var text)
        ? text
        : throw new DataFormatException(
            $"'{file.Path}' does not say its '{key}', as every file of statistics does that was written here; make it again with SaveStatistics.")
        { Settings = ["SaveStatistics"] };

    private static int Number(TensorFile file, string key)
        => int.TryParse(Text(file, key), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
        ? number
        : throw new DataFormatException($"'{file.Path}' says {key} = {Text(file, key)}; expected a whole number.");

    private static string Write(int number) => number.ToString(CultureInfo.InvariantCulture);
}

// Shape letters used in this file: D pooled features, S spatial features.

/// <summary>Mean and covariance of the features of a set of images, as a file keeps them.</summary>
internal sealed record StoredStatistics
{
    /// <summary>[D].</summary>
    public required double[] Mean { get; init; }

    /// <summary>[D, D], unbiased.</summary>
    public required double[] Covariance { get; init; }

    /// <summary>[S]; null where the file has none.</summary>
    public double[]? SpatialMean { get; init; }

    /// <summary>[S, S], unbiased; null where the file has none.</summary>
    public double[]? SpatialCovariance { get; init; }

    /// <summary>The images.</summary>
    public required ImageOrigin Images { get; init; }

    /// <summary>How the features came about; null where the file does not say, as published ones do not.</summary>
    public FeatureOrigin? Features { get; init; }
}
