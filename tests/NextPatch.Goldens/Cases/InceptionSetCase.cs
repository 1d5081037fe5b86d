using NextPatch.Core.Tensors;
using NextPatch.Evaluation.Metrics;
using NextPatch.Torch.Loading;

namespace NextPatch.Goldens.Cases;

/// <summary>The formulas from recorded activations of the FID Inception network: fewer images than features, hence every covariance singular.</summary>
internal static class InceptionSetCase
{
    public static void Run(CaseRun run)
    {
        var (config, arrays) = (run.Golden.Config, run.Golden.Arrays());
        Frechet("FID", "pool3");
        Frechet("sFID", "spatial");

        var weights = FormulaTensors.Make((string?)run.Golden.Entry["salt"] + "fc.weight", (float)Math.Sqrt(24.0 / 2048), 0, 1008, 2048).Read();
        Score("IS_sample", "sample", 5000);
        Score("IS_ref", "ref", 5000);
        Score("IS_sample_split16", "sample", 16);

        var result = PrecisionRecall.Compute(arrays["ref_pool3"].ToSingles(), arrays["sample_pool3"].ToSingles(), (int)arrays["ref_pool3"].Shape[1]);
        var golden = config["precision_recall_k3"]!["float64"]!;
        run.Close("precision", result.Precision, (double)golden["precision"]!, Tolerance.Exact);
        run.Close("recall", result.Recall, (double)golden["recall"]!, Tolerance.Exact);

        void Frechet(string name, string features)
        {
            var (a, b) = (Statistics(arrays[$"ref_{features}"]), Statistics(arrays[$"sample_{features}"]));
            run.Close(name, FrechetDistance.Between(a, b), (double)config[name]!["exact_float64"]!["fid"]!, new Tolerance(0, 1e-9));
        }

        void Score(string name, string set, int split)
        {
            var score = new InceptionScore(1008, split);
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
