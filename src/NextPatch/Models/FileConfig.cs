using System.Text.Json;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Core.Files;

namespace NextPatch.Models;

/// <summary>
/// What a run's weights need to be drawn with, when they travel as one file: grid, class names, tokenizer. In the metadata of safetensors, else in a
/// file beside it, <c>model.pt.json</c>.
/// </summary>
internal static class FileConfig
{
    /// <summary>Key in the metadata of safetensors.</summary>
    public const string MetadataKey = "nextpatch_config";

    private const string Ending = ".json";

    /// <summary>The configuration to send along; null where the weights are of no model that was trained or converted here.</summary>
    public static CheckpointConfig? From(ModelSource source) => source.Config is { } config && config.ClassNames.Count == 0
        ? config with { ClassNames = ImageNetClasses.For(config.Model.ClassCount) }
        : source.Config;

    /// <summary>As one line of text.</summary>
    public static string Write(CheckpointConfig config)
    {
        using var json = JsonDocument.Parse(JsonSerializer.Serialize(config, ConfigJson.Default.CheckpointConfig));
        return JsonSerializer.Serialize(json.RootElement, FileConfigJson.Default.JsonElement);
    }

    /// <summary>Puts it beside a file of weights; null: what an earlier conversion left there goes.</summary>
    public static void WriteBeside(string path, CheckpointConfig? config)
    {
        if (config is not null)
        {
            AtomicFile.WriteText(path + Ending, JsonSerializer.Serialize(config, ConfigJson.Default.CheckpointConfig));
        }
        else if (File.Exists(path + Ending) && Parse(File.ReadAllText(path + Ending), path + Ending) is not null)
        {
            File.Delete(path + Ending);
        }
    }

    /// <returns>Null where nothing is said.</returns>
    /// <exception cref="DataFormatException">What is said cannot be used.</exception>
    public static CheckpointConfig? Read(WeightsFile weights)
    {
        var beside = weights.Path + Ending;
        return weights.Metadata.TryGetValue(MetadataKey, out var text) ? Parse(text, weights.Path)
            : File.Exists(beside) ? Parse(File.ReadAllText(beside), beside)
            : null;
    }

    /// <summary>Null for JSON of another kind: other programs put files of such names beside weights too.</summary>
    private static CheckpointConfig? Parse(string text, string path)
    {
        try
        {
            using var json = JsonDocument.Parse(text, new JsonDocumentOptions { AllowDuplicateProperties = false });
            return json.RootElement is { ValueKind: JsonValueKind.Object } root && root.TryGetProperty("model", out var model)
                && model.ValueKind == JsonValueKind.Object && root.TryGetProperty("formatVersion", out _)
                ? root.Deserialize(ConfigJson.Default.CheckpointConfig)
                : null;
        }
        catch (JsonException e)
        {
            throw new DataFormatException($"{path} does not say which model its weights are of: {e.Message}", e);
        }
    }
}

[System.Text.Json.Serialization.JsonSerializable(typeof(JsonElement))]
internal sealed partial class FileConfigJson : System.Text.Json.Serialization.JsonSerializerContext;
