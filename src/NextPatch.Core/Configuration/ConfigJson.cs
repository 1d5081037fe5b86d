using System.Text.Json;
using System.Text.Json.Serialization;
using NextPatch.Core.Files;
using NextPatch.Core.Sampling;

namespace NextPatch.Core.Configuration;

/// <summary>Reading and writing of the configuration files, without reflection.</summary>
[JsonSourceGenerationOptions(
    AllowDuplicateProperties = false, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    WriteIndented = true,
    UseStringEnumConverter = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    IgnoreReadOnlyProperties = true,
    RespectNullableAnnotations = true,
    Converters = [typeof(NamesConverter)],
    ReadCommentHandling = JsonCommentHandling.Skip,
    AllowTrailingCommas = true)]
[JsonSerializable(typeof(CheckpointConfig))]
[JsonSerializable(typeof(GptConfig))]
[JsonSerializable(typeof(TrainingConfig))]
[JsonSerializable(typeof(SamplingConfig))]
[JsonSerializable(typeof(TokenizerConfig))]
[JsonSerializable(typeof(RunState))]
[JsonSerializable(typeof(RunResult))]
internal sealed partial class ConfigJson : JsonSerializerContext
{
    /// <summary>Reads a JSON file.</summary>
    /// <exception cref="NextPatchException">The file cannot be read.</exception>
    /// <exception cref="DataFormatException">The file is missing, or not what its name says.</exception>
    public static T Read<T>(string path, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type)
        where T : class
    {
        try
        {
            return JsonSerializer.Deserialize(TextFile.ReadUtf8(path, TextFile.MostBytesOfJson), type)
                ?? throw new DataFormatException($"{path} holds 'null' instead of a {typeof(T).Name}.");
        }
        catch (JsonException e)
        {
            throw new DataFormatException($"{path} is not a valid {typeof(T).Name}: {e.Message}", e);
        }
        catch (NextPatchException e) when (e.InnerException is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new DataFormatException($"{path} does not exist.", e);
        }
    }
}
