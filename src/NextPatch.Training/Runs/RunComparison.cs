using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using NextPatch.Core;

namespace NextPatch.Training.Runs;

/// <summary>Refuses to continue a run with settings that would make it another one.</summary>
internal static class RunComparison
{
    /// <exception cref="ConfigException">Lists every setting that differs.</exception>
    public static void RequireSame<T>(T stored, T given, JsonTypeInfo<T> type, string checkpoint)
    {
        var differences = new List<string>();
        Compare(JsonSerializer.SerializeToNode(stored, type), JsonSerializer.SerializeToNode(given, type), "", differences);
        if (differences.Count > 0)
        {
            throw new ConfigException([$"The run in {checkpoint} was started with other settings, so it cannot be resumed with these (leave them out, or use --init-from and another --output):", .. differences]);
        }
    }

    private static void Compare(JsonNode? stored, JsonNode? given, string path, List<string> differences)
    {
        if (stored is JsonObject a && given is JsonObject b)
        {
            foreach (var key in a.Select(p => p.Key).Union(b.Select(p => p.Key)))
            {
                Compare(a[key], b[key], path.Length == 0 ? key : $"{path}.{key}", differences);
            }
        }
        else if (!JsonNode.DeepEquals(stored, given))
        {
            differences.Add($"{path}: {stored?.ToJsonString() ?? "not set"} in the checkpoint, {given?.ToJsonString() ?? "not set"} now");
        }
    }
}
