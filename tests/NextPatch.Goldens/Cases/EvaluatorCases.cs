using System.Text.Json.Nodes;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Tensors;
using NextPatch.Evaluation.Metrics;
using NextPatch.Evaluation.Protocol;
using NextPatch.Torch.Loading;
using static TorchSharp.torch;

namespace NextPatch.Goldens.Cases;

/// <summary>The formulas of the published evaluator, on features that are given.</summary>
internal static class EvaluatorCases
{
    /// <summary>
    /// Files of the evaluator's layout, read as a stream in the recorded batches: the images are those of the whole array, whatever their order and
    /// compression.
    /// </summary>
    public static void RunLayout(CaseRun run)
    {
        var reference = run.Golden.Arrays(run.Golden.Files.Single(file => run.Golden.Arrays(file).ContainsKey("mu")))["arr_0"];
        foreach (var file in run.Golden.Files)
        {
            var (path, arrays) = (run.Golden.PathOf(file), run.Golden.Arrays(file));
            var images = arrays["arr_0"];
            using var reader = new NpzArrayReader(path, "arr_0");
            var streamed = new List<byte>();
            foreach (var batch in run.Golden.Config["batches_of_4"]!.AsArray())
            {
                var part = new byte[(int)batch! * (images.Count / images.Shape[0])];
                reader.Read(part);
                streamed.AddRange(part);
            }

            run.SameList($"{file} as a stream", streamed, images.AsSpan<byte>().ToArray());
            if (file.Contains("fortran", StringComparison.Ordinal))
            {
                run.SameList($"{file} in C order", streamed, reference.AsSpan<byte>().ToArray());
            }

            if (StatisticsFile.TryRead(path, null) is { } statistics)
            {
                run.SameList("mu", statistics.Mean, arrays["mu"].AsSpan<double>().ToArray());
                run.SameList("sigma", statistics.Covariance, arrays["sigma"].AsSpan<double>().ToArray());
                run.SameList("mu_s", statistics.SpatialMean ?? [], arrays["mu_s"].AsSpan<double>().ToArray());
                run.SameList("sigma_s", statistics.SpatialCovariance ?? [], arrays["sigma_s"].AsSpan<double>().ToArray());
            }
        }
    }

    public static void RunFrechet(CaseRun run)
    {
        var arrays = run.Golden.Arrays();
        var tolerance = run.Golden.Tolerance("default");
        foreach (var item in Items(run))
        {
            var name = (string)item["name"]!;
            var (a, b) = (Statistics(run, arrays, name, 1, tolerance), Statistics(run, arrays, name, 2, tolerance));
            var (distance, golden, isRegularised) = (FrechetDistance.Between(a, b), (double)item["fid"]!, (bool)item["used_eps_regularisation"]!);

            // The manifest takes either value where the recording was regularised, and there no absolute difference.
            var limit = isRegularised ? (double)item["fid_by_symmetric_eigenvalues"]! : golden;
            run.Close($"{name} fid", distance, Math.Abs(distance - limit) < Math.Abs(distance - golden) ? limit : golden,
                isRegularised ? new Tolerance(0, 1e-5) : tolerance);
            run.Close($"{name} fid, sides changed", FrechetDistance.Between(b, a), distance, new Tolerance(1e-12, 1e-9));
        }
    }

    public static void RunInceptionScore(CaseRun run)
    {
        var arrays = run.Golden.Arrays();
        foreach (var item in Items(run))
        {
            var index = (int)item["index"]!;
            var (activations, weights) = (arrays[$"acts.{index}"], arrays[$"W.{index}"]);
            var logits = Product(StateLoader.ToTensor(activations), StateLoader.ToTensor(weights).t());
            foreach (var (split, golden) in item["scores"]!.AsObject())
            {
                var score = new InceptionScore((int)weights.Shape[1], int.Parse(split));
                score.AddLogits(logits);
                run.Close($"score {index} in splits of {split}", score.Compute().Mean, (double)golden!, run.Golden.Tolerance("default"));
            }
        }
    }

    public static void RunPrecisionRecall(CaseRun run)
    {
        var arrays = run.Golden.Arrays();
        var radiusTolerance = new Tolerance(0, 1e-4); // the manifest gives it in words, as it does the shares' "within 1/n" and 0.02
        foreach (var item in Items(run))
        {
            var name = (string)item["name"]!;
            var (reference, samples) = (arrays[$"{name}.act_ref"], arrays[$"{name}.act_sample"]);
            var found = PrecisionRecall.Manifolds
                .Compute(reference.ToSingles(), samples.ToSingles(), (int)reference.Shape[1], (int)run.Golden.Config["nhood_sizes"]![0]!, default);
            Radii("radii1", found.ReferenceRadii);
            Radii("radii2", found.SampleRadii);
            var result = PrecisionRecall.Compute(reference.ToSingles(), samples.ToSingles(), (int)reference.Shape[1]);
            foreach (var (recording, values) in item["results"]!.AsObject())
            {
                var isHalf = recording.Contains("fp16", StringComparison.Ordinal);
                run.Close($"{name} {recording} precision", result.Precision, (double)values!["precision"]!,
                    new Tolerance(isHalf ? 0.02 : 1.0 / samples.Shape[0], 0));
                run.Close($"{name} {recording} recall", result.Recall, (double)values["recall"]!,
                    new Tolerance(isHalf ? 0.02 : 1.0 / reference.Shape[0], 0));
            }

            void Radii(string which, double[] actual)
            {
                var golden = arrays[$"{name}.fp32.{which}"];
                run.Close($"{name} {which}", actual, golden.ToDoubles(), golden.Shape, radiusTolerance);
            }
        }
    }

    private static IEnumerable<JsonObject> Items(CaseRun run) => run.Golden.Config["items"]!.AsArray().Select(i => i!.AsObject());

    /// <summary>Statistics of the recorded rows, compared with the recorded ones; where there are no rows, the recorded ones.</summary>
    private static FeatureStatistics Statistics(
        CaseRun run, IReadOnlyDictionary<string, HostTensor> arrays, string name, int side, Tolerance tolerance)
    {
        var mean = arrays.GetValueOrDefault($"{name}.mu{side}") ?? arrays[$"{name}.mu{side}__f64"];
        var covariance = arrays[$"{name}.sigma{side}__f64"];
        if (!arrays.TryGetValue($"{name}.act{side}", out var rows))
        {
            return FeatureStatistics.From(mean.ToDoubles(), covariance.ToDoubles());
        }

        var statistics = new FeatureStatistics((int)rows.Shape[1]);
        statistics.Add(rows.AsSpan<float>());
        run.Close($"{name} mu{side}", statistics.Mean(), mean.ToDoubles(), mean.Shape, tolerance);
        run.Close($"{name} sigma{side}", statistics.Covariance(), covariance.ToDoubles(), covariance.Shape, new Tolerance(1e-14, 1e-10));
        return statistics;
    }

    /// <summary>left right^T, summed in float64.</summary>
    internal static float[] Product(Tensor left, Tensor right)
        => left.to_type(ScalarType.Float64).mm(right.to_type(ScalarType.Float64).t()).to_type(ScalarType.Float32).data<float>().ToArray();
}
