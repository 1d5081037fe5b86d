using System.Globalization;
using System.Text.Json;
using NextPatch.Core.Generation;

namespace NextPatch.Sampling;

/// <summary>What an earlier command left where samples go: files that are replaced, and files that stay and belong to no set any more.</summary>
internal static class EarlierSamples
{
    /// <summary>A sentence or two; null where nothing is there.</summary>
    public static string? Describe(SamplePaths paths, GenerationRequest request)
    {
        var (first, last) = (request.FirstIndex, request.FirstIndex + request.Labels.Count - 1);
        var there = Directory.Exists(paths.Images) ? Directory.GetFiles(paths.Images, "*.png").Select(NumberOf).OfType<long>().ToList() : [];
        if (there.Count == 0)
        {
            return null;
        }

        var kept = there.Where(i => i < first || i > last).Order().ToList();
        var text = string.Create(CultureInfo.InvariantCulture, $"'{paths.Images}' holds {there.Count} images of an earlier command{Drawn(paths)}; ");
        return kept.Count == 0
            ? text + "they are replaced."
            : text + string.Create(CultureInfo.InvariantCulture,
                $"{there.Count - kept.Count} of them are replaced, and {kept.Count} stay ({kept[0]:D6}.png to {kept[^1]:D6}.png), which are not of "
                    + $"this set: ")
                + "the archive and samples.json say what is. Another output folder keeps sets apart.";
    }

    private static long? NumberOf(string file)
        => long.TryParse(Path.GetFileNameWithoutExtension(file), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    /// <summary>How they were drawn, where their description can still be read.</summary>
    private static string Drawn(SamplePaths paths)
    {
        try
        {
            using var json = JsonDocument.Parse(File.ReadAllBytes(paths.Description));
            return $" (seed {json.RootElement.GetProperty("seed").GetRawText()}, {json.RootElement.GetProperty("labels").GetArrayLength()} images)";
        }
        catch (Exception e) when (
            e is IOException or UnauthorizedAccessException or JsonException or InvalidOperationException or KeyNotFoundException)
        {
            return "";
        }
    }
}
