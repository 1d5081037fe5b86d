using System.IO.Hashing;
using System.Text;
using System.Text.Json.Nodes;
using NextPatch.Core.Tensors;
using NextPatch.Evaluation.Metrics;
using NextPatch.Evaluation.Networks;
using NextPatch.Torch.Perception;
using static TorchSharp.torch;

namespace NextPatch.Goldens.Cases;

/// <summary>The FID Inception network with weights from a formula: resizing, every stage, features, and figures of two sets of images.</summary>
internal static class InceptionNetworkCase
{
    // "atol = 20 x fp32_vs_fp64_maxdiff" and what follows from it, as the recording's README lists them.
    private static readonly Dictionary<string, Tolerance> Features = new()
    {
        ["64"] = new(1e-5, 0), ["192"] = new(2e-5, 0), ["768"] = new(6e-5, 0), ["2048"] = new(1.2e-4, 0), ["logits"] = new(3e-4, 0),
        ["spatial"] = new(4e-4, 0),
    };

    private static readonly (string Name, ResizeProtocol Protocol, float Divisor, double Tolerance)[] Resized =
    [
        ("tf1_resized", ResizeProtocol.Adm, 1, 3e-5), ("cleanfid_resized", ResizeProtocol.Clean, 1, 1e-4),
        ("cleanfid_legacy_pytorch_resized", ResizeProtocol.Legacy, 1, 1e-4), ("pytorchfid_resized01", ResizeProtocol.Legacy, 255, 4e-7),
    ];

    public static void RunResize(CaseRun run)
    {
        var (images, samples, whole) =
            (run.Golden.Arrays("images.npz"), run.Golden.Arrays("resized_samples.npz"), run.Golden.Arrays("resized_full.npz"));
        foreach (var (image, pixels) in images)
        {
            foreach (var (name, protocol, divisor, tolerance) in Resized)
            {
                var resized = tensor(
                    ImageResize.ToSquares(pixels.Bytes, (int)pixels.Shape[0], (int)pixels.Shape[1], 299, protocol), [299, 299, 3]) / divisor;
                var step = TensorIndex.Slice(step: 13);
                foreach (var (part, taken) in new[] { ("rows0_3", resized[..3]), ("cols0_3", resized[.., ..3]), ("grid13", resized[step, step]) })
                {
                    run.Close($"{image}.{name}.{part}", taken, samples[$"{image}.{name}.{part}"], new Tolerance(tolerance, 0));
                }

                if (whole.TryGetValue($"{image}.{name}", out var all))
                {
                    run.Close($"{image}.{name}", resized, all, new Tolerance(tolerance, 0));
                }

                if (whole.TryGetValue($"{image}.{name}.rows100_140", out var rows))
                {
                    run.Close($"{image}.{name}.rows100_140", resized[100..140], rows, new Tolerance(tolerance, 0));
                }
            }
        }
    }

    public static void RunNetwork(CaseRun run) => WithNetworks(run, (adm, others) =>
    {
        var recorded = run.Golden.Arrays("features.npz");
        var biases = Weights(run)["fc.bias"].Read().ToSingles();
        foreach (var (image, pixels) in run.Golden.Arrays("images.npz"))
        {
            void Close(string name, float[] own, string kind)
            {
                var golden = recorded[$"{image}.{name}"];
                run.Close($"{image}.{name}", HostTensor.FromSingles([.. golden.Shape], own), golden, Features[kind]);
            }

            var (height, width) = ((int)pixels.Shape[0], (int)pixels.Shape[1]);
            var features = adm.Extract(pixels.Bytes.Span, height, width);
            Close("2048", features.Pooled, "2048");
            Close("sfid_17x17x7", features.Spatial, "spatial");
            Close("logits_unbiased", features.Logits, "logits");
            Close("logits", [.. features.Logits.Zip(biases, (l, b) => l + b)], "logits");
            Close("pytorchfid_2048", others[0].Extract(pixels.Bytes.Span, height, width).Pooled, "2048");
            Close("cleanfid_2048", others[1].Extract(pixels.Bytes.Span, height, width).Pooled, "2048");

            using var scope = NewDisposeScope();
            var input = (tensor(ImageResize.ToSquares(pixels.Bytes, height, width, 299, ResizeProtocol.Adm), [1, 299, 299, 3]).permute(0, 3, 1,
                2) - 128) / 128;
            adm.Run(input, (name, activations) =>
            {
                Stage(run, $"{image}.{name}", activations, run.Golden.Entry["blocks"]![image]![name]!);
                if (name is "MaxPool_1" or "MaxPool_2" or "Mixed_6e")
                {
                    Close($"{activations.size(1)}", Values(activations.mean([2, 3])), $"{activations.size(1)}");
                }

                if (name == "Mixed_6d" && recorded.ContainsKey($"{image}.mixed_6_conv_17x17x192"))
                {
                    Close("mixed_6_conv_17x17x192", Values(activations[0, ..192].permute(1, 2, 0)), "spatial");
                }
            });
        }
    });

    public static void RunSets(CaseRun run) => WithNetworks(run, (network, _) =>
    {
        var recorded = run.Golden.Arrays("set_activations.npz");
        var pipeline = run.Golden.Entry["pipeline"]!;
        var (pooled, spatial) = (new List<FeatureStatistics>(), new List<FeatureStatistics>());
        foreach (var set in (string[])["ref", "sample"])
        {
            var images = run.Golden.Arrays($"set_{set}.npz")["arr_0"];
            var features = network.Extract(images.Bytes.Span, (int)images.Shape[1], (int)images.Shape[2]);
            run.Close($"{set}_pool3", HostTensor.FromSingles([features.Count, network.FeatureCount], features.Pooled), recorded[$"{set}_pool3"],
                Features["2048"]);
            run.Close($"{set}_spatial", HostTensor.FromSingles([features.Count, network.SpatialCount], features.Spatial), recorded[$"{set}_spatial"],
                Features["spatial"]);
            pooled.Add(StatisticsOf(features.Pooled, network.FeatureCount));
            spatial.Add(StatisticsOf(features.Spatial, network.SpatialCount));
            var score = new InceptionScore(network.ClassCount);
            score.AddLogits(features.Logits);
            run.Close($"IS_{set}", score.Compute().Mean, (double)pipeline[$"IS_{set}"]!["float64_from_fp32_pool3"]!, new Tolerance(0, 1e-6));
        }

        run.Close("FID", FrechetDistance.Between(pooled[0], pooled[1]), (double)pipeline["FID"]!["exact_float64"]!["fid"]!, new Tolerance(0, 2e-5));
        run.Close("sFID", FrechetDistance.Between(spatial[0], spatial[1]), (double)pipeline["sFID"]!["exact_float64"]!["fid"]!,
            new Tolerance(0, 2e-5));
    });

    private static FeatureStatistics StatisticsOf(float[] rows, int width)
    {
        var statistics = new FeatureStatistics(width);
        statistics.Add(rows);
        return statistics;
    }

    private static void Stage(CaseRun run, string what, Tensor activations, JsonNode golden)
    {
        var tolerance = new Tolerance(20 * (double)golden["fp32_vs_fp64_maxdiff"]!, 0);
        run.SameList($"{what} shape", activations.shape, golden["shape_nchw"]!.AsArray().Select(n => (long)n!));
        var values = Values(activations);
        double[] Recorded(string name) => [.. golden[name]!.AsArray().Select(v => (double)v!)];
        run.Close($"{what} first8", [.. values[..8].Select(v => (double)v)], Recorded("first8"), [8], tolerance);
        run.Close($"{what} last8", [.. values[^8..].Select(v => (double)v)], Recorded("last8"), [8], tolerance);
        var mean = values.Average(v => (double)v);
        run.Close($"{what} mean", mean, (double)golden["mean"]!, tolerance);
        run.Close($"{what} deviation", Math.Sqrt(values.Average(v => (v - mean) * (v - mean))), (double)golden["std_population"]!, tolerance);
        run.Close($"{what} maximum", values.Max(), (double)golden["max"]!, tolerance);
    }

    private static float[] Values(Tensor x) => x.contiguous().data<float>().ToArray();

    /// <summary>The network by its three resize protocols: as the ADM evaluator has it, then pytorch-fid's and clean-fid's.</summary>
    private static void WithNetworks(CaseRun run, Action<InceptionNetwork, InceptionNetwork[]> use)
    {
        set_num_threads(Environment.ProcessorCount); // these layers are large
        var weights = Weights(run);
        InceptionNetwork Open(ResizeProtocol protocol) => new(
            new PretrainedWeights(weights, "formula", "inception"), "inception", new string('0', 64), protocol);
        using var adm = Open(ResizeProtocol.Adm);
        using var legacy = Open(ResizeProtocol.Legacy);
        using var clean = Open(ResizeProtocol.Clean);
        use(adm, [legacy, clean]);
    }

    /// <summary>Weights by the formula, each checked against its recorded checksum.</summary>
    private static Dictionary<string, StoredTensor> Weights(CaseRun run)
    {
        var keys = run.Golden.Json("keys.json");
        var salt = (string)keys["salt"]!;
        var weights = new Dictionary<string, StoredTensor>();
        foreach (var entry in keys["tensors"]!.AsArray())
        {
            var name = (string)entry!["name"]!;
            var shape = entry["shape"]!.AsArray().Select(n => (long)n!).ToArray();
            var seed = Crc32.HashToUInt32(Encoding.UTF8.GetBytes(salt + name));
            var values = new float[HostTensor.CountElements(shape)];
            for (var i = 0; i < values.Length; i++)
            {
                values[i] = Element(name, shape, FormulaTensors.Value(seed, (uint)i));
            }

            var tensor = HostTensor.FromSingles(shape, values);
            run.Same($"checksum of {name}", Crc32.HashToUInt32(tensor.Bytes.Span), (uint)entry["crc32"]!);
            weights[name] = StoredTensor.From(tensor);
        }

        return weights;
    }

    private static float Element(string name, long[] shape, float v) => name switch
    {
        "fc.weight" => (float)Math.Sqrt(24.0 / shape[1]) * v,
        _ when name.EndsWith(".conv.weight", StringComparison.Ordinal) => (float)Math.Sqrt(6.0 / (shape[1] * shape[2] * shape[3])) * v,
        _ when name.EndsWith(".bn.weight", StringComparison.Ordinal) => 1 + (0.125f * v),
        _ when name.EndsWith(".running_var", StringComparison.Ordinal) => 0.75f + (0.5f * Math.Abs(v)),
        _ => 0.125f * v,
    };
}
