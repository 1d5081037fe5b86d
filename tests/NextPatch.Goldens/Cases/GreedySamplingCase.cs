using NextPatch.Core.Sampling;

namespace NextPatch.Goldens.Cases;

/// <summary>Greedy choice with filters: the chosen codes and the probabilities behind them.</summary>
internal static class GreedySamplingCase
{
    public static void Run(CaseRun run)
    {
        var (config, arrays) = (run.Golden.Config, run.Golden.Arrays());
        var sampling = new SamplingConfig
        {
            Greedy = true, Temperature = (double?)config["temperature"] ?? 1, TopK = (int?)config["top_k"] ?? 0, TopP = (double?)config["top_p"] ?? 1,
        };
        var rows = arrays["logits"].ToSingles().Chunk((int)arrays["logits"].Shape[^1]).ToList();
        var processor = new LogitsProcessor(sampling, rows[0].Length);
        run.Close("ids", [.. rows.Select(row => (double)processor.Draw(row, 0))], arrays["ids"].ToDoubles(), arrays["ids"].Shape,
            run.Golden.Tolerance("ids"));
        run.Close("probs", [.. rows.SelectMany(row => processor.Probabilities(row).ToArray())], arrays["probs"].ToDoubles(), arrays["probs"].Shape,
            run.Golden.Tolerance("probs"));
    }
}
