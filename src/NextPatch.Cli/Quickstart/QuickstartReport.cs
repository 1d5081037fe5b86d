using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization;
using NextPatch.Core.Files;
using NextPatch.Training;

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
        QuickstartFolder folder, QuickstartResult result, Stopwatch watch, ReportPictures pictures)
    {
        var html = new ReportPage(result, pictures, RunHistory.Read(folder.Model));
        html.Prepare();
        result = result with { Seconds = Math.Round(watch.Elapsed.TotalSeconds, 2) };
        AtomicFile.WriteText(folder.ReportHtml, html.Render(result.Seconds, SettingsJson(result)));
        AtomicFile.WriteText(folder.ReportJson, JsonSerializer.Serialize(result, Json)); // last: with it the quickstart is done
        return result;
    }

    private static string SettingsJson(QuickstartResult result) => JsonSerializer.Serialize(result.Settings, Json);
}
