using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using NextPatch.Core;
using NextPatch.Data.Codes;
using NextPatch.Data.Datasets;
using NextPatch.Data.Sources;

namespace NextPatch.Cli.Extraction;

/// <summary>What an <c>encode</c> command asks for.</summary>
internal sealed record EncodeSettings
{
    public required string Images { get; init; }

    public required string Tokenizer { get; init; }

    public required string Output { get; init; }

    /// <summary>What the codes are called; null = as the dataset.</summary>
    public string? Name { get; init; }

    /// <summary>Pixels per side of what is encoded; null = as the tokenizer was trained.</summary>
    public int? ImageSize { get; init; }

    /// <summary>center, flip or ten.</summary>
    public string Crops { get; init; } = "center";

    public double CropRange { get; init; } = ImageViews.PublishedRange;

    public CodeLayout Layout { get; init; }

    public DatasetPart Part { get; init; }

    public double HeldOut { get; init; }

    public ulong Seed { get; init; }

    /// <summary>Squares per call of the network; null = what suits the tokenizer.</summary>
    public int? BatchSize { get; init; }

    public bool IsBf16 { get; init; }

    public OnBadImage OnError { get; init; } = OnBadImage.Fail;

    /// <exception cref="ConfigException">A value cannot work.</exception>
    public EncodeSettings Validated()
    {
        string[] problems =
        [
            .. BatchSize < 1 ? [$"--batch-size {BatchSize} must be at least 1."] : Array.Empty<string>(),
            .. ImageSize < 1 ? [$"--image-size {ImageSize} must be at least 1."] : Array.Empty<string>(),
            .. HeldOut is >= 0 and < 1 ? Array.Empty<string>() : [$"--held-out {HeldOut} must be a share from 0 to below 1."],
            .. CropRange is >= 1 and <= 4 ? Array.Empty<string>() : [$"--crop-range {CropRange} must be from 1 to 4; published are 1.1 and 1.05."],
            .. Part == DatasetPart.Val && HeldOut > 0 ? ["--held-out is a share of the training images, which --part val leaves out."] : Array.Empty<string>(),
        ];
        return problems.Length == 0 ? this : throw new ConfigException(problems);
    }

    /// <summary>The squares of an image.</summary>
    public ImageViews Views(int side) => Crops switch
    {
        "ten" => ImageViews.Ten(side, CropRange),
        "flip" => ImageViews.Flip(side),
        _ => ImageViews.Centre(side),
    };

    /// <summary>All that decides the codes: a run continues only with the same.</summary>
    /// <param name="manifest">What is planned.</param>
    /// <param name="images">In their order.</param>
    /// <param name="batchSize">The resolved one: libtorch rounds otherwise in batches of other sizes.</param>
    public IReadOnlyDictionary<string, string> Identity(CodeManifest manifest, ChosenImages images, int batchSize) => new Dictionary<string, string>
    {
        ["name"] = manifest.Name,
        ["images"] = $"{images.Count}, of which {images.Count - images.TrainCount} held out",
        ["order"] = HashOf(images),
        ["tokenizer"] = manifest.TokenizerHash!,
        ["image-size"] = manifest.ImageSide.ToString(CultureInfo.InvariantCulture),
        ["crops"] = manifest.CropPolicy,
        ["batch-size"] = batchSize.ToString(CultureInfo.InvariantCulture),
        ["precision"] = IsBf16 ? "bf16" : "fp32",
    };

    /// <summary>SHA-256 of classes, file names and labels: the folder may have moved, its images not have changed.</summary>
    private static string HashOf(ChosenImages images)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var name in images.ClassNames)
        {
            hash.AppendData(Encoding.UTF8.GetBytes(name + "\n"));
        }

        for (var i = 0; i < images.Count; i++)
        {
            hash.AppendData(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{images.Label(i)} {Path.GetFileName(images.PathOf(i))}\n")));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
