using System.Text.Json.Nodes;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Tensors;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Perception;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Tests.Perception;

[NoTensorLeaks]
public sealed class SqueezeNetTests
{
    private static readonly int[] Squeezed = [16, 16, 32, 32, 48, 48, 64, 64];

    [Theory]
    [InlineData(31, 31, 2)]
    [InlineData(40, 57, 1)]
    [InlineData(64, 64, 3)]
    public void Activations_and_the_gradient_of_the_loss_equal_float64(int height, int width, int batch)
    {
        using var scope = NewDisposeScope();
        var tensors = Formula();
        using var network = new SqueezeNet(new PretrainedWeights(tensors, "formula", SqueezeNet.Name));
        using var loss = new SqueezeNetPerception(tensors, "formula");
        manual_seed(3);
        var (images, other) = (rand(batch, 3, height, width) * 2 - 1, (rand(batch, 3, height, width) * 2 - 1).requires_grad_(true));

        var single = loss.Distance(images, other);
        single.backward();
        var exactOther = other.detach().to(float64).requires_grad_(true);
        var exact = ExactDistance(tensors, images.to(float64), exactOther);
        exact.backward();

        Assert.Equal(exact.item<double>(), single.item<float>(), 1e-5);
        AssertClose(exactOther.grad!, other.grad!, 1e-4, "gradient");
        var own = network.Activations((images + 1) * 127.5);
        var expected = ExactActivations(tensors, images.to(float64));
        for (var i = 0; i < expected.Length; i++)
        {
            AssertClose(expected[i], own[i], 1e-5, NameOf(i));
        }
    }

    [Fact]
    public void Equal_images_have_no_distance_and_blank_ones_a_finite_gradient()
    {
        using var scope = NewDisposeScope();
        using var loss = new SqueezeNetPerception(Formula(bias: -300), "formula"); // with such a bias most features are 0
        var images = zeros(2, 3, 32, 32).requires_grad_(true);
        var distance = loss.Distance(images.detach(), images);
        distance.backward();
        Assert.Equal(0f, distance.item<float>());
        Assert.True(images.grad!.isfinite().all().item<bool>());
    }

    [Fact]
    public void Distance_grows_with_noise_and_is_a_mean_over_the_batch()
    {
        using var scope = NewDisposeScope();
        using var loss = new SqueezeNetPerception(Formula(), "formula");
        manual_seed(1);
        var (images, noise) = (rand(2, 3, 48, 48) * 2 - 1, randn(2, 3, 48, 48));
        float Of(Tensor a, Tensor b) => loss.Distance(a, b).item<float>();
        var (little, much) = (images + (0.02 * noise), images + (0.2 * noise));
        Assert.True(Of(images, little) < Of(images, much));
        Assert.Equal(Of(images, much), (Of(images[..1], much[..1]) + Of(images[1..], much[1..])) / 2, 1e-6f);
    }

    [Fact]
    public void Wrong_weights_and_images_are_refused_in_words()
    {
        var tensors = Formula();
        string Refusal(Action<Dictionary<string, StoredTensor>> change)
        {
            var changed = new Dictionary<string, StoredTensor>(tensors);
            change(changed);
            return Assert.Throws<DataFormatException>(
                () => new SqueezeNet(new PretrainedWeights(changed, "some.safetensors", SqueezeNet.Name))).Message;
        }

        Assert.Contains(
            "'some.safetensors' does not hold the weights of SqueezeNet 1.1: it has no tensor 'fire9.expand3x3.bias'",
            Refusal(t => t.Remove("fire9.expand3x3.bias")), StringComparison.Ordinal);
        Assert.Contains(
            "'fire3.squeeze1x1.bias' is Float32 [17], expected Float32 [16]",
            Refusal(t => t["fire3.squeeze1x1.bias"] = FormulaTensors.Make("x", 1, 0, 17)), StringComparison.Ordinal);
        Assert.Contains(
            "'conv1.bias' holds numbers that are not finite", Refusal(t => t["conv1.bias"] = FormulaTensors.Make("x", float.PositiveInfinity, 0, 64)),
            StringComparison.Ordinal);
        Assert.Contains(
            "1 of its 51 tensors have no place in it, the first is 'fire10.bias'",
            Refusal(t => t["fire10.bias"] = FormulaTensors.Make("x", 1, 0, 64)), StringComparison.Ordinal);

        using var scope = NewDisposeScope();
        using var network = new SqueezeNet(new PretrainedWeights(tensors, "formula", SqueezeNet.Name));
        Assert.Contains(
            "at least 31x31", Assert.Throws<NextPatchException>(() => network.Activations(zeros(1, 3, 30, 64))).Message, StringComparison.Ordinal);
        Assert.Contains(
            "[1, 1, 64, 64]", Assert.Throws<NextPatchException>(() => network.Activations(zeros(1, 1, 64, 64))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Published_weights_give_the_recorded_activations()
    {
        var recorded = JsonNode.Parse(
            File.ReadAllText(SharedData.PathOrSkip("weights", "reference-outputs.json")))!["squeezenet-1.1-features"]!["pattern128"]!;
        using var weights = WeightsFile.Open(SharedData.PathOrSkip("weights", "squeezenet-1.1-features.safetensors"));
        using var scope = NewDisposeScope();
        using var network = new SqueezeNet(new PretrainedWeights(weights.Tensors, weights.Path, SqueezeNet.Name));
        var pattern = new float[3 * 128 * 128];
        for (var i = 0; i < pattern.Length; i++)
        {
            var (c, y, x) = (i / (128 * 128), i / 128 % 128, i % 128);
            pattern[i] = ((7 * y) + (3 * x) + (31 * c) + (x * y / 8)) % 256;
        }

        var layers = network.Activations(tensor(pattern, [1, 3, 128, 128]));
        for (var i = 0; i < layers.Length; i++)
        {
            var expected = recorded[NameOf(i)]!;
            Assert.Equal(expected["shape"]!.AsArray().Select(n => (long)n!), layers[i].shape);
            Assert.Equal((double)expected["mean"]!, layers[i].mean().item<float>(), 1e-4);
            var first = layers[i][0, .., 0, 0].contiguous().data<float>().ToArray(); // the first channels of the first place
            for (var k = 0; k < 4; k++)
            {
                Assert.Equal((double)expected["first4"]![k]!, first[k], 2e-4);
            }
        }
    }

    /// <summary>The layer as the recording calls it.</summary>
    private static string NameOf(int layer) => layer == 0 ? "relu_conv1" : $"fire{layer + 1}";

    private static Dictionary<string, StoredTensor> Formula(float bias = 0)
    {
        var tensors = new Dictionary<string, StoredTensor>();
        void Add(string key, long inputs, long outputs, long kernel)
        {
            tensors[$"{key}.weight"] = FormulaTensors.Convolution($"{key}.weight", outputs, inputs, kernel, kernel);
            tensors[$"{key}.bias"] = FormulaTensors.Make($"{key}.bias", 1, bias, outputs);
        }

        Add("conv1", 3, 64, 3);
        var channels = 64;
        for (var i = 0; i < Squeezed.Length; i++)
        {
            Add($"fire{i + 2}.squeeze1x1", channels, Squeezed[i], 1);
            Add($"fire{i + 2}.expand1x1", Squeezed[i], 4 * Squeezed[i], 1);
            Add($"fire{i + 2}.expand3x3", Squeezed[i], 4 * Squeezed[i], 3);
            channels = 8 * Squeezed[i];
        }

        return tensors;
    }

    // Written as the paper describes the network, on images in [-1, 1].
    private static Tensor[] ExactActivations(Dictionary<string, StoredTensor> tensors, Tensor images)
    {
        Tensor Convolve(Tensor x, string key, long stride = 1, long padding = 0) => functional.relu(functional.conv2d(
            x, StateLoader.ToTensor(tensors[$"{key}.weight"].Read()).to(float64), StateLoader.ToTensor(tensors[$"{key}.bias"].Read()).to(float64),
                [stride, stride], [padding, padding]));
        var levels = (images + 1) * 127.5;
        var layers = new List<Tensor>
        {
            Convolve(stack([levels.select(1, 2) - 103.939f, levels.select(1, 1) - 116.779f, levels.select(1, 0) - 123.68f], 1), "conv1", stride: 2),
        };
        for (var fire = 2; fire <= 9; fire++)
        {
            var x = fire is 2 or 4 or 6 ? functional.max_pool2d(layers[^1], 3, 2) : layers[^1];
            var squeezed = Convolve(x, $"fire{fire}.squeeze1x1");
            layers.Add(cat([Convolve(squeezed, $"fire{fire}.expand1x1"), Convolve(squeezed, $"fire{fire}.expand3x3", padding: 1)], 1));
        }

        return [.. layers];
    }

    private static Tensor ExactDistance(Dictionary<string, StoredTensor> tensors, Tensor images, Tensor others)
    {
        var (a, b) = (ExactActivations(tensors, images), ExactActivations(tensors, others));
        static Tensor Unit(Tensor x) => x / (x.square().sum(1, keepdim: true) + 1e-10).sqrt();
        return new[] { 0, 2, 4, 5, 6, 7, 8 }.Select(i => (Unit(a[i]) - Unit(b[i])).square().sum(1).mean()).Aggregate((s, d) => s + d) / 7;
    }

    private static void AssertClose(Tensor expected, Tensor actual, double relative, string what)
    {
        Assert.Equal(expected.shape, actual.shape);
        var error = (actual.to(float64) - expected).abs().max().item<double>();
        Assert.True(error <= relative * expected.abs().max().item<double>(),
            $"{what} is {error} off where the largest value is {expected.abs().max().item<double>()}");
    }
}
