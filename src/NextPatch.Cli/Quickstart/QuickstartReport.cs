using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization;
using NextPatch.Training.Gpt;

namespace NextPatch.Cli.Quickstart;

/// <summary>Writes what a quickstart measured: <c>report.json</c> for machines, <c>report.html</c> for people.</summary>
internal static class QuickstartReport
{
    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        Converters = { new JsonStringEnumConverter() },
    };

    /// <returns>The result with its <see cref="QuickstartResult.Seconds"/> filled in.</returns>
    public static QuickstartResult Write(
        QuickstartFolder folder, QuickstartResult result, Stopwatch watch, ReportPictures pictures, IReadOnlyList<TrainingProgress> curve)
    {
        var html = new ReportPage(result, pictures, curve);
        html.Prepare();
        result = result with { Seconds = Math.Round(watch.Elapsed.TotalSeconds, 2) };
        File.WriteAllText(folder.ReportHtml, html.Render(result.Seconds, SettingsJson(result)));
        File.WriteAllText(folder.ReportJson, JsonSerializer.Serialize(result, Json));
        return result;
    }

    private static string SettingsJson(QuickstartResult result) => JsonSerializer.Serialize(result.Settings, Json);
}
