using System.Text.Json.Serialization;

namespace NextPatch.Core.Configuration;

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    WriteIndented = true)]
[JsonSerializable(typeof(TokenizerConfig))]
internal sealed partial class TokenizerConfigJson : JsonSerializerContext;
