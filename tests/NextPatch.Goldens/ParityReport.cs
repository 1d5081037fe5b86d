using System.Text.Json;
using System.Text.Json.Nodes;

namespace NextPatch.Goldens;

/// <summary>Gathers the results of a run, prints them and writes <c>goldens-report.json</c>.</summary>
public sealed class ParityReport : IDisposable
{
    /// <summary>Names the folder that receives the report; by default the folder of the tests' binaries.</summary>
    public const string Variable = "NEXTPATCH_GOLDENS_REPORT";

    // By position in the manifest: the test runner chooses its own order.
    private readonly SortedDictionary<int, CaseResult> _results = [];

    public void Dispose()
    {
        if (_results.Count == 0)
        {
            return;
        }

        var folder = Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } named ? Path.GetFullPath(named) : AppContext.BaseDirectory;
        Directory.CreateDirectory(folder);
        var path = Path.Combine(folder, "goldens-report.json");
        var list = new JsonArray([.. _results.Values.Select(r => new JsonObject
        {
            ["name"] = r.Name,
            ["status"] = r.Status.ToString().ToLowerInvariant(),
            ["maxError"] = double.IsFinite(r.MaxError) ? r.MaxError : "Infinity",
            ["checks"] = r.Checks,
            ["detail"] = r.Detail,
        })]);
        File.WriteAllText(path, list.ToJsonString(new JsonSerializerOptions { WriteIndented = true }));
        var counts = _results.Values.GroupBy(r => r.Status).OrderBy(g => g.Key).Select(g => $"{g.Count()} {g.Key.ToString().ToLowerInvariant()}");
        Console.Out.WriteLine(
            $"{string.Join(Environment.NewLine, _results.Values)}{Environment.NewLine}Goldens: {string.Join(", ", counts)}; {path}");
    }

    internal void Add(int position, CaseResult result) => _results[position] = result;
}
