using System.Text.Json.Serialization;
using NextPatch.Core.Configuration;

namespace NextPatch.Data.Codes;

/// <summary>What a folder of codes is: <c>dataset.json</c> beside <c>codes.npy</c> and <c>labels.npy</c>.</summary>
public sealed record CodeManifest
{
    /// <summary>The version that this code writes and reads.</summary>
    public const int CurrentVersion = 1;

    /// <summary>Far above every published codebook; what is larger is damage, and memory would be made for it.</summary>
    internal const int MaxVocabulary = 1 << 24;

    /// <summary>As of lists of images.</summary>
    internal const int MaxClasses = 1 << 20;

    /// <summary>Largest side of a grid of codes.</summary>
    internal const int MaxSide = 1024;

    /// <summary>Version of the folder's layout.</summary>
    public int FormatVersion { get; init; } = CurrentVersion;

    /// <summary>What the data is called in reports.</summary>
    public required string Name { get; init; }

    /// <summary>Codes per row and per column of an image.</summary>
    public required int GridSide { get; init; }

    /// <summary>Size of the codebook; every code is below it.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Names of the classes; label k is entry k.</summary>
    public required IReadOnlyList<string> ClassNames { get; init; }

    /// <summary>Identifies the tokenizer that made the codes and that must decode them; null if unknown.</summary>
    public string? TokenizerHash { get; init; }

    /// <summary>Full path of the tokenizer when it made the codes; null if unknown.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? TokenizerPath { get; init; }

    /// <summary>How the stored variants of an image were made: "none", "flip", "ten-crop"; "unknown" without a manifest.</summary>
    public string CropPolicy { get; init; } = "none";

    /// <summary>Width and height in pixels of the images that were encoded; 0 if unknown.</summary>
    public int ImageSide { get; init; }

    /// <summary>Number of images N.</summary>
    public required int Count { get; init; }

    /// <summary>Stored variants of each image, A.</summary>
    public int Augmentations { get; init; } = 1;

    /// <summary>The last so many images are for validation and never trained on.</summary>
    public int HeldOutCount { get; init; }

    /// <summary>The captions that <c>captions.npy</c> refers to, int32 [N]: the line of each image's caption; null where images have none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public CaptionLines? Captions { get; init; }

    /// <summary>SHA-256 of the other files of the folder in lower-case hexadecimal, by name; null in stores that record none.</summary>
    public IReadOnlyDictionary<string, string>? FileHashes { get; init; }
}

/// <summary>The captions that lines of <c>captions.npy</c> count: those of the files one after the other, from 0.</summary>
public sealed record CaptionLines
{
    /// <summary>SHA-256 of the files, one after the other.</summary>
    public required string Hash { get; init; }

    /// <summary>Names of the files up to the first point, and their numbers of lines, in order.</summary>
    public required IReadOnlyList<KeyValuePair<string, int>> Files { get; init; }

    /// <summary>Lines of all files.</summary>
    [JsonIgnore]
    public long Count => Files.Sum(file => (long)file.Value);
}

[JsonSourceGenerationOptions(
    AllowDuplicateProperties = false, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true, RespectNullableAnnotations = true,
    UseStringEnumConverter = true,
    Converters = [typeof(NamesConverter)])]
[JsonSerializable(typeof(CodeManifest))]
[JsonSerializable(typeof(CodeJournal))]
internal sealed partial class CodeManifestJson : JsonSerializerContext;
