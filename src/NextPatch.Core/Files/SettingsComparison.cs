using System.Text.Json.Nodes;

namespace NextPatch.Core.Files;

/// <summary>Finds the settings in which what is continued differs from what was begun.</summary>
internal static class SettingsComparison
{
    /// <returns>Every value that differs: its name ("model.gridSide") and both values, null where it is not set.</returns>
    public static IReadOnlyList<(string Name, JsonNode? Stored, JsonNode? Given)> Differences(JsonNode? stored, JsonNode? given)
    {
        var differences = new List<(string, JsonNode?, JsonNode?)>();
        Compare(stored, given, "", differences);
        return differences;
    }

    private static void Compare(JsonNode? stored, JsonNode? given, string path, List<(string Name, JsonNode? Stored, JsonNode? Given)> differences)
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
            differences.Add((path, stored, given));
        }
    }
}
