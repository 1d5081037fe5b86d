using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using NextPatch.Core.Tensors;
using NextPatch.Torch.Gpt;

namespace NextPatch.Goldens.Cases;

/// <summary>Rotary tables: whole ones, and chosen rows with the sum of the whole table.</summary>
internal static partial class RopeTableCase
{
    public static void Run(CaseRun run)
    {
        var golden = run.Golden;
        var arrays = golden.Arrays();
        var tolerance = golden.Tolerance("default");
        foreach (var item in golden.Config["full"] as JsonArray ?? [])
        {
            var key = (string)item!["key"]!;
            run.Close(key, Table(item), arrays[key], tolerance);
        }

        // The manifest gives the tolerance of the sums in its notes only.
        var note = SumTolerance().Match((string?)golden.Entry["notes"] ?? "");
        var sumTolerance = new Tolerance(note.Success ? double.Parse(note.Groups[1].Value, CultureInfo.InvariantCulture) : 1e-2, 0);
        foreach (var (key, item) in golden.Config["rows_only"] as JsonObject ?? [])
        {
            var table = Table(item!);
            var width = table.Count / (int)table.Shape[0];
            var values = table.ToDoubles();
            var rows = arrays[key + "_index"].ToInt64().SelectMany(row => values.AsSpan((int)row * width, width).ToArray()).ToArray();
            run.SameList(key + " shape", table.Shape, item!["full_shape"]!.AsArray().Select(n => (long)n!));
            run.Close(key, rows, arrays[key].ToDoubles(), arrays[key].Shape, tolerance);
            run.Close(key + "_sum", values.Sum(), arrays[key + "_sum"].ToDoubles()[0], sumTolerance);
        }
    }

    private static HostTensor Table(JsonNode item)
    {
        int side = (int)item["grid_size"]!, headWidth = (int)item["n_elem"]!, conditionTokens = (int)item["cls_token_num"]!;
        var table = RotaryEmbedding2d.Table(side, headWidth, conditionTokens, (double)item["base"]!);
        return HostTensor.FromSingles([conditionTokens + (side * side), headWidth / 2, 2], table);
    }

    [GeneratedRegex(@"sum of the whole table \(atol ([0-9.eE+-]+)\)")]
    private static partial Regex SumTolerance();
}
