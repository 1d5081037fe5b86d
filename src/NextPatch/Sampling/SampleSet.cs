using System.Text.Json.Serialization;
using NextPatch.Core.Configuration;
using NextPatch.Core.Sampling;

namespace NextPatch.Sampling;

/// <summary>What <c>samples.json</c> holds: how a set of samples came about.</summary>
internal sealed record SampleSet
{
    /// <summary>Class of each image, in the order of samples.npz.</summary>
    public required IReadOnlyList<int> Labels { get; init; }

    public required IReadOnlyList<string> ClassNames { get; init; }

    /// <summary>Prompt of each image; null where classes were drawn.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? Prompts { get; init; }

    public required ulong Seed { get; init; }

    public required long FirstIndex { get; init; }

    public required SamplingConfig Sampling { get; init; }

    /// <summary>ema or model.</summary>
    public required string Weights { get; init; }

    public required string ModelHash { get; init; }

    /// <summary>Hash of the tokenizer that made images of the codes, or whose codes these are; null when unknown.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? TokenizerHash { get; init; }

    /// <summary>Its full path when they were drawn; null when unknown.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? TokenizerPath { get; init; }

    public required string Engine { get; init; }

    /// <summary>Side in pixels at which images are drawn; null where there are only codes.</summary>
    public int? ImageSize { get; init; }

    /// <summary>Side at which they are written; null = as drawn.</summary>
    public int? ImageSizeEval { get; init; }

    /// <summary>How they come to that size; null where they need not.</summary>
    public string? ResizeFilter { get; init; }

    public required string Version { get; init; }
}

[JsonSourceGenerationOptions(
    AllowDuplicateProperties = false, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true, UseStringEnumConverter = true,
    IgnoreReadOnlyProperties = true,
    RespectNullableAnnotations = true, Converters = [typeof(NamesConverter)])]
[JsonSerializable(typeof(SampleSet))]
internal sealed partial class SampleSetJson : JsonSerializerContext;
