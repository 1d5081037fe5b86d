using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using NextPatch.Core.Sampling;
using NextPatch.Core.Tensors;

namespace NextPatch.Goldens.Cases;

/// <summary>Temperature, top-k and top-p: probabilities, and the filter by itself.</summary>
internal static partial class SamplingFilterCase
{
    public static void Run(CaseRun run)
    {
        var arrays = run.Golden.Arrays();
        foreach (var item in run.Golden.Config["probs"] as JsonArray ?? [])
        {
            var sampling = new SamplingConfig
            {
                Temperature = (double)item!["temperature"]!, TopK = (int)item["top_k"]!, TopP = (double)item["top_p"]!,
            };
            Check(run, arrays, "probs", item, logits => new LogitsProcessor(sampling, logits.Length).Probabilities(logits).ToArray());
        }

        foreach (var item in run.Golden.Config["filter"] as JsonArray ?? [])
        {
            var removed = item!["filter_value"] is JsonValue value && value.TryGetValue<double>(out var number) ? number : double.NegativeInfinity;
            Check(run, arrays, "filter", item, logits =>
            {
                var kept = (float[])logits.Clone();
                new LogitsProcessor(new SamplingConfig(), kept.Length)
                    .Filter(kept, (int)item["top_k"]!, (double)item["top_p"]!, (int)item["min_tokens_to_keep"]!);
                return [.. kept.Select(z => float.IsNegativeInfinity(z) ? removed : z)];
            });
        }
    }

    private static void Check(
        CaseRun run, IReadOnlyDictionary<string, HostTensor> arrays, string kind, JsonNode item, Func<float[], double[]> compute)
    {
        var logits = arrays[$"logits.{item["logits"]}"];
        var (name, expected) =
            arrays.Single(
            a => Numbered().Match(a.Key) is { Success: true } m && m.Groups[1].Value == kind && int.Parse(m.Groups[2].Value) == (int)item["index"]!);
        var width = (int)logits.Shape[^1];
        var actual = logits.ToSingles().Chunk(width).Select(compute);
        var golden = expected.ToDoubles().Chunk(width);
        if ((bool?)item["ambiguous_ties"] == true)
        {
            // Which of several equal logits survives depends on the sort.
            (actual, golden) = (actual.Select(row => row.Order().ToArray()), golden.Select(row => row.Order().ToArray()));
        }

        run.Close(name, [.. actual.SelectMany(row => row)], [.. golden.SelectMany(row => row)], expected.Shape, run.Golden.Tolerance("default"));
    }

    [GeneratedRegex(@"^(probs|filter)\.(\d+)$")]
    private static partial Regex Numbered();
}
