using System.Text.Json.Serialization;

namespace NextPatch.Cli.Sampling;

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true, UseStringEnumConverter = true, IgnoreReadOnlyProperties = true)]
[JsonSerializable(typeof(SampleSet))]
internal sealed partial class SampleSetJson : JsonSerializerContext;
