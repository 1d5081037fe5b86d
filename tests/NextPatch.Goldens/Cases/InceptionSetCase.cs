using System.Globalization;
using NextPatch.Core.Tensors;
using NextPatch.Evaluation.Metrics;
using NextPatch.Torch.Loading;

namespace NextPatch.Goldens.Cases;

/// <summary>
/// The formulas from recorded activations of the FID Inception network: fewer images than features, hence every covariance singular.
/// </summary>
internal static class InceptionSetCase
{
    public static void Run(CaseRun run)
    {
        var (config, arrays) = (run.Golden.Config, run.Golden.Arrays());
        Frechet("FID", "pool3");
        Frechet("sFID", "spatial");

        // The network's last layer, [C, D]: its shape is recorded, its numbers follow from the formula.
        const string Layer = "fc.weight";
        var recorded = run.Golden.Json("keys.json")["tensors"]!.AsArray().Single(t => (string?)t!["name"] == Layer)!["shape"]!;
        var (classes, width) = ((int)recorded[0]!, (int)recorded[1]!);
        var weights = FormulaTensors.Make((string?)run.Golden.Entry["salt"] + Layer, (float)Math.Sqrt(24.0 / width), 0, classes, width).Read();
        Score("IS_sample", "sample", 5000);
        Score("IS_ref", "ref", 5000);
        Score("IS_sample_split16", "sample", 16);

        const string Manifolds = "precision_recall_k"; // and how many neighbours
        var (key, figures) = config.Single(p => p.Key.StartsWith(Manifolds, StringComparison.Ordinal));
        var (reference, sample, golden) = (arrays["ref_pool3"], arrays["sample_pool3"], figures!["float64"]!);
        var neighbours = int.Parse(key.AsSpan(Manifolds.Length), CultureInfo.InvariantCulture);
        var result = PrecisionRecall.Compute(reference.ToSingles(), sample.ToSingles(), (int)reference.Shape[1], neighbours);
        run.Close("precision", result.Precision, (double)golden["precision"]!, Tolerance.Exact);
        run.Close("recall", result.Recall, (double)golden["recall"]!, Tolerance.Exact);

        void Frechet(string name, string features)
        {
            var (a, b) = (Statistics(arrays[$"ref_{features}"]), Statistics(arrays[$"sample_{features}"]));
            run.Close(name, FrechetDistance.Between(a, b), (double)config[name]!["exact_float64"]!["fid"]!, new Tolerance(0, 1e-9));
        }

        void Score(string name, string set, int split)
        {
            var score = new InceptionScore(classes, split);
            score.AddLogits(EvaluatorCases.Product(StateLoader.ToTensor(arrays[$"{set}_pool3"]), StateLoader.ToTensor(weights)));
            run.Close(name, score.Compute().Mean, (double)config[name]!["float64_from_fp32_pool3"]!, new Tolerance(0, 1e-6));
        }
    }

    private static FeatureStatistics Statistics(HostTensor rows)
    {
        var statistics = new FeatureStatistics((int)rows.Shape[1]);
        statistics.Add(rows.AsSpan<float>());
        return statistics;
    }
}
