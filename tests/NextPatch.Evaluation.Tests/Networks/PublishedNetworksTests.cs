using System.IO.Compression;
using System.Text.Json.Nodes;
using NextPatch.Core.Tensors;
using NextPatch.Evaluation.Metrics;
using NextPatch.Evaluation.Networks;
using NextPatch.Torch.Perception;

namespace NextPatch.Evaluation.Tests.Networks;

/// <summary>Recorded answers: of the FID Inception network with weights from a formula, and, where their files are, of published weights.</summary>
[NoTensorLeaks]
public sealed class PublishedNetworksTests
{
    [Fact]
    public void The_inception_network_gives_the_recorded_features()
    {
        var recorded = JsonNode.Parse(File.ReadAllText(Fixture("inception-features.json")))!;
        var weights = InceptionWeights();
        var pixels = new byte[32 * 32 * 3];
        var seed = Seed("img:b");
        for (var i = 0; i < pixels.Length; i++)
        {
            pixels[i] = (byte)((int)((FormulaTensors.Value(seed, (uint)i) * 8388608f) + 8388608f) >> 16);
        }

        foreach (var (protocol, name) in new[] { (ResizeProtocol.Adm, "2048"), (ResizeProtocol.Legacy, "pytorchfid_2048"),
            (ResizeProtocol.Clean, "cleanfid_2048") })
        {
            using var network = new InceptionNetwork(new PretrainedWeights(weights, "formula", "inception"), "inception", "", protocol);
            var features = network.Extract(pixels, 32, 32);
            AssertClose(recorded[name]!, features.Pooled, 1.2e-4);
            if (protocol == ResizeProtocol.Adm)
            {
                AssertClose(recorded["logits_unbiased"]!, features.Logits, 3e-4);
                AssertClose(recorded["sfid"]!, features.Spatial[1000..], 4e-4);
            }
        }
    }

    [Fact]
    public void The_network_that_ships_gives_the_recorded_answers()
    {
        using var network = FeatureNetworks.Open(FeatureNetworks.BuiltIn, weightsPath: null);
        Assert.Equal(
            (FeatureNetworks.BuiltIn, "a654704f9ebf1c7dfbe074596467e78fc202e0bb58c6d8dccb0906604d15089c"), (network.Name, network.WeightsHash));
        var features = network.Extract(Pattern(128), 128, 128);
        float[] first = [0, 0.035408f, 0, 0, 0.18614f, 2.01196f, 0.398118f, 0.225709f];
        Assert.All(first.Zip(features.Pooled), pair => Assert.Equal(pair.First, pair.Second, 2e-5));
        Assert.Equal(134.97366, features.Pooled.Sum(v => (double)v), 1e-3);
    }

    [Theory]
    [InlineData("mobilenet-v1-0.25-128", 128)]
    [InlineData("mobilenet-v1-0.5-160", 160)]
    public void Published_mobilenets_give_the_recorded_answers(string name, int side)
    {
        var recorded = Recorded()[name]!;
        using var network = FeatureNetworks.Open(name, SharedData.PathOrSkip("weights", $"{name}.safetensors"));
        var features = network.Extract(Pattern(side), side, side);
        AssertClose(recorded["pattern_features_first8"]!, features.Pooled, 2e-5);
        Assert.Equal((double)recorded["pattern_features_sum"]!, features.Pooled.Sum(v => (double)v), 1e-3);
        Assert.Equal((double)recorded["pattern_logits_sum"]!, features.Logits.Sum(v => (double)v), 3e-3);
        var top = recorded["pattern_logits_top5"]!.AsArray().Select(pair => ((int)pair![0]!, (double)pair[1]!)).ToList();
        Assert.Equal(top.Select(pair => pair.Item1), features.Logits.Index().OrderByDescending(l => l.Item).Take(5).Select(l => l.Index));
        Assert.All(top, pair => Assert.Equal(pair.Item2, features.Logits[pair.Item1], 3e-5));
    }

    [Fact]
    public void The_published_residual_network_gives_the_recorded_answers_and_distance()
    {
        var recorded = Recorded()["resnet20-cifar10"]!;
        using var network = FeatureNetworks.Open("resnet20", SharedData.PathOrSkip("weights", "resnet20-cifar10.safetensors"));
        var pattern = network.Extract(Pattern(32), 32, 32);
        AssertClose(recorded["pattern32_logits"]!, pattern.Logits, 2e-5);
        AssertClose(recorded["pattern32_features_first8"]!, pattern.Pooled, 2e-6);

        var (labels, pixels) = CifarRecords(SharedData.PathOrSkip("cifar10-lossless-train-0-3999.bin.gz"));
        var features = network.Extract(pixels, 32, 32);
        AssertClose(recorded["lossless_record0_logits"]!, features.Logits, 5e-5);
        AssertClose(recorded["lossless_record1_logits"]!, features.Logits[10..], 5e-5);
        var right = labels.Index().Count(
            l => features.Logits.AsSpan(l.Index * 10, 10).IndexOf(features.Logits.Skip(l.Index * 10).Take(10).Max()) == l.Item);
        Assert.Equal((double)recorded["accuracy"]!["lossless_train_0_3999"]!, (double)right / labels.Length, 1e-9);

        var (first, second) = (new FeatureStatistics(64), new FeatureStatistics(64));
        first.Add(features.Pooled.AsSpan(0, 2000 * 64));
        second.Add(features.Pooled.AsSpan(2000 * 64));
        Assert.Equal(
            (double)recorded["frechet_distance_float64_cov_ddof1"]!["lossless_records_0_1999_vs_2000_3999"]!, FrechetDistance.Between(first, second),
            1e-6);
    }

    [Fact]
    public void The_published_squeezenet_opens_and_averages_its_last_activations()
    {
        var recorded = Recorded()["squeezenet-1.1-features"]!["pattern128"]!["fire9"]!;
        using var network = FeatureNetworks.Open(null, SharedData.PathOrSkip("weights", "squeezenet-1.1-features.safetensors"));
        Assert.Equal(("squeezenet-1.1", 512, 224), (network.Name, network.FeatureCount, network.InputSide));
        var features = network.Extract(Pattern(128), 128, 128);
        Assert.InRange(features.Pooled.Average(), (double)recorded["mean"]! / 3, (double)recorded["mean"]! * 3); // another size, so only near
    }

    private static JsonNode Recorded() => JsonNode.Parse(File.ReadAllText(SharedData.PathOrSkip("weights", "reference-outputs.json")))!;

    private static string Fixture(string name) => Path.Combine(AppContext.BaseDirectory, "Fixtures", name);

    private static byte[] Pattern(int side)
    {
        var pixels = new byte[side * side * 3];
        for (var i = 0; i < pixels.Length; i++)
        {
            var (y, x, c) = (i / (side * 3), i / 3 % side, i % 3);
            pixels[i] = (byte)((7 * y) + (3 * x) + (31 * c) + (x * y / 8));
        }

        return pixels;
    }

    private static (int[] Labels, byte[] Pixels) CifarRecords(string path)
    {
        const int Plane = 1024;
        using var unpacked = new MemoryStream();
        using (var file = new GZipStream(File.OpenRead(path), CompressionMode.Decompress))
        {
            file.CopyTo(unpacked);
        }

        var bytes = unpacked.ToArray();
        var labels = new int[bytes.Length / ((3 * Plane) + 1)];
        var pixels = new byte[labels.Length * 3 * Plane];
        for (var n = 0; n < labels.Length; n++)
        {
            var record = bytes.AsSpan(n * ((3 * Plane) + 1), (3 * Plane) + 1);
            labels[n] = record[0];
            for (var i = 0; i < 3 * Plane; i++)
            {
                pixels[(n * 3 * Plane) + i] = record[1 + (i % 3 * Plane) + (i / 3)];
            }
        }

        return (labels, pixels);
    }

    private static void AssertClose(JsonNode recorded, float[] actual, double tolerance)
    {
        foreach (var (i, value) in recorded.AsArray().Index())
        {
            Assert.Equal((double)value!, actual[i], tolerance);
        }
    }

    // The formula of the recording: a hash of (name, element) scaled by the kind of tensor.
    private static Dictionary<string, StoredTensor> InceptionWeights()
    {
        var tensors = new Dictionary<string, StoredTensor>
        {
            ["fc.weight"] = FormulaTensors.Make("fc.weight", (float)Math.Sqrt(24.0 / 2048), 0, 1008, 2048),
            ["fc.bias"] = FormulaTensors.Make("fc.bias", 0.125f, 0, 1008),
        };
        foreach (var line in File.ReadLines(Fixture("inception-layers.txt")))
        {
            var parts = line.Split(' ');
            var shape = parts[1..].Select(long.Parse).ToArray();
            var weight = $"{parts[0]}.conv.weight";
            tensors[weight] = FormulaTensors.Make(weight, (float)Math.Sqrt(6.0 / (shape[1] * shape[2] * shape[3])), 0, shape);
            foreach (var (name, offset) in new[] { ("weight", 1f), ("bias", 0f), ("running_mean", 0f) })
            {
                tensors[$"{parts[0]}.bn.{name}"] = FormulaTensors.Make($"{parts[0]}.bn.{name}", 0.125f, offset, shape[0]);
            }

            var variance = $"{parts[0]}.bn.running_var";
            tensors[variance] = StoredTensor
                .From(HostTensor.FromSingles(
                [shape[0]], [.. Enumerable.Range(0, (int)shape[0]).Select(
                i => 0.75f + (0.5f * Math.Abs(FormulaTensors.Value(Seed(variance), (uint)i))))]));
        }

        return tensors;
    }

    private static uint Seed(string name) => System.IO.Hashing.Crc32.HashToUInt32(System.Text.Encoding.UTF8.GetBytes(name));
}
