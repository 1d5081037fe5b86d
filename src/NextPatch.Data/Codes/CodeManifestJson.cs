using System.Text.Json.Serialization;

namespace NextPatch.Data.Codes;

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true, RespectNullableAnnotations = true, UseStringEnumConverter = true)]
[JsonSerializable(typeof(CodeManifest))]
[JsonSerializable(typeof(CodeJournal))]
internal sealed partial class CodeManifestJson : JsonSerializerContext;
