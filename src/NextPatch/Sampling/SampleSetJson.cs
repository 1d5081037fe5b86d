using System.Text.Json.Serialization;

namespace NextPatch.Sampling;

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true, UseStringEnumConverter = true, IgnoreReadOnlyProperties = true)]
[JsonSerializable(typeof(SampleSet))]
internal sealed partial class SampleSetJson : JsonSerializerContext;
