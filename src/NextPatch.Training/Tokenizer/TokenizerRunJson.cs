using System.Text.Json.Serialization;

namespace NextPatch.Training.Tokenizer;

/// <summary>The JSON files of a tokenizer's checkpoint, without reflection.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    WriteIndented = true,
    UseStringEnumConverter = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    IgnoreReadOnlyProperties = true)]
[JsonSerializable(typeof(TokenizerRunConfig))]
[JsonSerializable(typeof(TokenizerRunState))]
internal sealed partial class TokenizerRunJson : JsonSerializerContext;
