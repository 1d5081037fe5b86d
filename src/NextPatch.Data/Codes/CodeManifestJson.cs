using System.Text.Json.Serialization;

namespace NextPatch.Data.Codes;

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true, RespectNullableAnnotations = true)]
[JsonSerializable(typeof(CodeManifest))]
internal sealed partial class CodeManifestJson : JsonSerializerContext;
