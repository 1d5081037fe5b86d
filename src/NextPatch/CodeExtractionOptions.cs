using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Files;
using NextPatch.Core.Generation;
using NextPatch.Data.Codes;
using NextPatch.Data.Datasets;
using NextPatch.Data.Sources;

namespace NextPatch;

/// <summary>What <see cref="CodeExtractor"/> does: which images, through which tokenizer, into which folder.</summary>
public sealed record CodeExtractionOptions
{
    /// <summary>A dataset: folder, .tar, .tar.gz, .zip, .npz, .csv, .jsonl, CIFAR or IDX files.</summary>
    public required string Images { get; init; }

    /// <summary>Tokenizer folder, or a weights file in the published layout.</summary>
    public required string Tokenizer { get; init; }

    /// <summary>Folder of the codes. One that was begun with the same options is continued.</summary>
    public required string Output { get; init; }

    /// <summary>
    /// Captions of the images, for text to image: a file or folder as <c>encode-text</c> takes it, whose lines name the images. Null: none. The codes
    /// remember which line belongs to which image.
    /// </summary>
    public string? Captions { get; init; }

    /// <summary>Images whose width or height is below this count as bad ones (<see cref="OnError"/>); 0 takes all, and enlarges small ones.</summary>
    public int SmallestSide { get; init; }

    /// <summary>What the codes are called; null = as the dataset.</summary>
    public string? Name { get; init; }

    /// <summary>Pixels per side of what is encoded; null = as the tokenizer was trained.</summary>
    public int? ImageSize { get; init; }

    /// <summary>
    /// What is stored of an image: <c>center</c>, its centre crop; <c>flip</c>, that and its mirror image; <c>ten</c>, ten crops of a larger centre
    /// crop.
    /// </summary>
    public string Crops { get; init; } = "center";

    /// <summary>How much larger that centre crop is, 1 to 4; published are 1.1 and 1.05.</summary>
    public double CropRange { get; init; } = ImageViews.PublishedRange;

    /// <summary>One memory-mapped array, or the published files, one per image.</summary>
    public CodeLayout Layout { get; init; }

    /// <summary>Which part of the dataset; all holds out the part that the data keep for testing.</summary>
    public DatasetPart Part { get; init; }

    /// <summary>Share of each class, from 0 to below 1, that is taken from the training images for validation.</summary>
    public double HeldOut { get; init; }

    /// <summary>Chooses those images.</summary>
    public ulong Seed { get; init; }

    /// <summary>Squares per call of the network; null = what suits the tokenizer. Another number may round to other codes.</summary>
    public int? BatchSize { get; init; }

    /// <summary>
    /// Arithmetic of the encoder: <see cref="ComputePrecision.Fp32"/>, or <see cref="ComputePrecision.Bf16"/>, which rounds to some other codes.
    /// </summary>
    public ComputePrecision Precision { get; init; }

    /// <summary>What happens to an image that cannot be read.</summary>
    public OnBadImage OnError { get; init; } = OnBadImage.Fail;

    /// <summary>What computes; null = C# alone, for bf16 what lies beside the program.</summary>
    public IComputeBackend? Backend { get; init; }

    /// <summary>
    /// Null: all images. Else one part of them, into a folder of its own in <see cref="Output"/>; once all parts are there, the same without it makes
    /// one folder of codes of them.
    /// </summary>
    internal Shard? Shard { get; init; }

    /// <summary>As manifests say it.</summary>
    internal string PrecisionName => Precision == ComputePrecision.Bf16 ? "bf16" : "fp32";

    /// <exception cref="ConfigException">A value cannot work.</exception>
    internal CodeExtractionOptions Validated()
    {
        string[] problems =
        [
            .. BatchSize < 1 ? [$"BatchSize {BatchSize} must be at least 1."] : Array.Empty<string>(),
            .. ImageSize < 1 ? [$"ImageSize {ImageSize} must be at least 1."] : Array.Empty<string>(),
            .. SmallestSide >= 0 ? Array.Empty<string>() : [$"SmallestSide {SmallestSide} must be 0 or more pixels."],
            .. Captions is not null && Layout == CodeLayout.Published
                ? ["The published layout has no room for what the Captions of an image are; use Layout Store."] : Array.Empty<string>(),
            .. HeldOut is >= 0 and < 1 ? Array.Empty<string>() : [$"HeldOut {HeldOut} must be a share from 0 to below 1."],
            .. CropRange is >= 1 and <= 4 ? Array.Empty<string>() : [$"CropRange {CropRange} must be from 1 to 4; published are 1.1 and 1.05."],
            .. Crops is "center" or "flip" or "ten" ? Array.Empty<string>() : [$"Crops '{Crops}' must be center, flip or ten."],
            .. Precision is ComputePrecision.Fp32 or ComputePrecision.Bf16
                ? Array.Empty<string>()
                : [$"Precision {Precision} is not known here; take Fp32 or Bf16."],
            .. Layout == CodeLayout.Published && Name is not null && PathComponent.ProblemOf(Name) is { } problem
                ? [$"Name '{PrintableText.From(Name)}' names the folders of the published layout, and is no name of a folder: {problem}."]
                : Array.Empty<string>(),
            .. Part == DatasetPart.Val && HeldOut > 0
                ? ["HeldOut is a share of the training images, which Part Val leaves out."]
                : Array.Empty<string>(),
        ];
        return problems.Length == 0 ? this : throw new ConfigException(problems)
        {
            Settings = ["BatchSize", "ImageSize", "HeldOut", "CropRange", "Part Val", "Crops", "Name", "SmallestSide", "Captions", "Layout Store"],
        };
    }

    /// <summary>The squares of an image.</summary>
    internal ImageViews Views(int side) => Crops switch
    {
        "ten" => ImageViews.Ten(side, CropRange),
        "flip" => ImageViews.Flip(side),
        _ => ImageViews.Centre(side),
    };

    /// <summary>All that decides the codes: a run continues only with the same.</summary>
    /// <param name="manifest">What is planned.</param>
    /// <param name="images">In their order.</param>
    /// <param name="batchSize">The resolved one: libtorch rounds otherwise in batches of other sizes.</param>
    /// <param name="engine">What computes.</param>
    internal IReadOnlyDictionary<string, string> Identity(CodeManifest manifest, ChosenImages images, int batchSize, string engine)
    {
        var identity = new Dictionary<string, string>
        {
            [CodeJournal.Engine] = engine,
            ["name"] = manifest.Name,
            ["images"] = $"{images.Count}, of which {images.Count - images.TrainCount} held out",
            ["order"] = HashOf(images),
            ["tokenizer"] = manifest.TokenizerHash!,
            ["image-size"] = manifest.ImageSide.ToString(CultureInfo.InvariantCulture),
            ["crops"] = manifest.CropPolicy,
            ["batch-size"] = batchSize.ToString(CultureInfo.InvariantCulture),
            ["precision"] = PrecisionName,
        };
        if (manifest.Captions is { } captions)
        {
            identity["captions"] = captions.Hash;
        }

        if (SmallestSide > 0)
        {
            identity["smallest-side"] = SmallestSide.ToString(CultureInfo.InvariantCulture);
        }

        return identity;
    }

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
            hash.AppendData(
                Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{images.Label(i)} {Path.GetFileName(images.PathOf(i))}\n")));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
