using System.Text.Json;
using System.Text.Json.Nodes;
using NextPatch.Core;

namespace NextPatch.Goldens;

/// <summary>A folder of recorded results with its <c>manifest.json</c>.</summary>
internal sealed class GoldenFolder
{
    /// <summary>Names the folder to read instead of the subset kept beside the tests.</summary>
    public const string Variable = "NEXTPATCH_GOLDENS";

    private GoldenFolder(string path, IReadOnlyList<GoldenCase> cases)
    {
        Path = path;
        Cases = cases;
    }

    public string Path { get; }

    /// <summary>In the manifest's order.</summary>
    public IReadOnlyList<GoldenCase> Cases { get; }

    /// <summary>Opens the folder that the environment names, or else the subset.</summary>
    /// <exception cref="NextPatchException">There is no readable manifest.</exception>
    public static GoldenFolder Open()
    {
        var named = Environment.GetEnvironmentVariable(Variable);
        return Open(string.IsNullOrEmpty(named) ? System.IO.Path.Combine(AppContext.BaseDirectory, "Subset") : System.IO.Path.GetFullPath(named));
    }

    /// <exception cref="NextPatchException">There is no readable manifest.</exception>
    public static GoldenFolder Open(string path)
    {
        var manifest = System.IO.Path.Combine(path, "manifest.json");
        try
        {
            if (JsonNode.Parse(File.ReadAllText(manifest))?["cases"] is not JsonArray { Count: > 0 } cases)
            {
                throw new NextPatchException($"'{manifest}' lists no cases; a goldens manifest has a non-empty list under \"cases\".");
            }

            return new GoldenFolder(
                path, [.. cases.Select((c, i) => new GoldenCase(path, c as JsonObject ?? throw new JsonException($"case {i} is not an object"))),
                .. InceptionCases(System.IO.Path.Combine(path, "inception"))]);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException or InvalidOperationException)
        {
            throw new NextPatchException(
                $"The goldens manifest '{manifest}' cannot be read: {e.Message} Point {Variable} at a folder that holds manifest.json, or unset it "
                + $"to use the subset.", e);
        }
    }

    /// <summary>The feature network's recordings have a manifest of another form: its parts as cases.</summary>
    private static IEnumerable<GoldenCase> InceptionCases(string folder)
    {
        var manifest = System.IO.Path.Combine(folder, "manifest.json");
        if (!File.Exists(manifest) || JsonNode.Parse(File.ReadAllText(manifest)) is not JsonObject recorded)
        {
            yield break;
        }

        if (recorded["pipeline"] is JsonObject pipeline)
        {
            yield return new GoldenCase(folder, new JsonObject
            {
                ["name"] = "inception.pipeline", ["official"] = "the FID Inception network's pipeline", ["salt"] = (string?)recorded["salt"],
                ["config"] = pipeline.DeepClone(), ["files"] = new JsonArray("set_activations.npz"),
            });
        }

        foreach (var part in (string[])["resize", "network", "sets"])
        {
            var entry = (JsonObject)recorded.DeepClone();
            (entry["name"], entry["official"]) = ($"inception.{part}", $"the FID Inception network's {part}");
            yield return new GoldenCase(folder, entry);
        }
    }
}
