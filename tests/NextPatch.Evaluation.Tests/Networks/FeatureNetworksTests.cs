using NextPatch.Core;
using NextPatch.Core.Checkpoints.PyTorch;
using NextPatch.Core.Tensors;
using NextPatch.Evaluation.Networks;
using NextPatch.Torch.Loading;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Evaluation.Tests.Networks;

[NoTensorLeaks]
public sealed class FeatureNetworksTests : IDisposable
{
    private const string CacheVariable = "XDG_CACHE_HOME";

    private readonly TemporaryFolder _folder = new();
    private readonly string? _cache = Environment.GetEnvironmentVariable(CacheVariable);

    public void Dispose()
    {
        Environment.SetEnvironmentVariable(CacheVariable, _cache);
        _folder.Dispose();
    }

    [Theory]
    [InlineData(3, "resnet20")]
    [InlineData(9, "resnet56")]
    public void A_residual_network_of_the_depth_in_the_file_equals_float64(int blocks, string name)
    {
        var tensors = FormulaNetworks.ResNet(blocks);
        FormulaNetworks.Save(_folder["weights.safetensors"], tensors);
        using var scope = NewDisposeScope();
        using var network = FeatureNetworks.Open(null, _folder["weights.safetensors"]);
        Assert.Equal(
            (name, 64, 10, 0, 64), (network.Name, network.FeatureCount, network.ClassCount, network.SpatialCount, network.WeightsHash.Length));

        var pixels = Pixels(3, 32);
        var features = network.Extract(pixels, 32, 32);
        var (pooled, logits) = ExactResNet(tensors, blocks, Planes(pixels, 32));
        AssertClose(pooled, features.Pooled);
        AssertClose(logits, features.Logits);
    }

    [Fact]
    public void A_mobilenet_of_the_width_in_the_file_equals_float64()
    {
        var tensors = FormulaNetworks.MobileNet(24); // width 0.75, whose channels do not fill vectors
        FormulaNetworks.Save(_folder["mobilenet-v1-0.75-64.safetensors"], tensors);
        using var scope = NewDisposeScope();
        using var network = FeatureNetworks.Open(null, _folder["mobilenet-v1-0.75-64.safetensors"]);
        Assert.Equal(("mobilenet-v1-0.75-64", 768, 1001, 64), (network.Name, network.FeatureCount, network.ClassCount, network.InputSide));

        var pixels = Pixels(2, 64);
        var features = network.Extract(pixels, 64, 64);
        var (pooled, logits) = ExactMobileNet(tensors, Planes(pixels, 64));
        AssertClose(pooled, features.Pooled);
        AssertClose(logits, features.Logits);
    }

    [Fact]
    public void Features_of_an_image_do_not_depend_on_its_neighbours()
    {
        FormulaNetworks.Save(_folder["weights.safetensors"], FormulaNetworks.ResNet(3));
        using var network = FeatureNetworks.Open("resnet20", _folder["weights.safetensors"]);
        var pixels = Pixels(70, 40); // more than one pass, and resized
        var all = network.Extract(pixels, 40, 40);
        var last = network.Extract(pixels.AsSpan(69 * 40 * 40 * 3), 40, 40);
        Assert.Equal((70, 1, ResizeProtocol.Clean), (all.Count, last.Count, network.Resize));
        for (var i = 0; i < 64; i++)
        {
            Assert.Equal(all.Pooled[(69 * 64) + i], last.Pooled[i], 1e-4f);
        }
    }

    [Fact]
    public void Wrong_files_names_and_images_are_refused_in_words()
    {
        var tensors = FormulaNetworks.ResNet(3);
        var path = _folder["weights.safetensors"];
        FormulaNetworks.Save(path, tensors);
        Assert.Contains("holds the weights of resnet20, not of inception", Refusal<DataFormatException>("inception", path), StringComparison.Ordinal);
        Assert.Contains("holds the weights of resnet20, not of resnet56", Refusal<DataFormatException>("resnet56", path), StringComparison.Ordinal);
        Assert.Contains("no feature network 'vgg'", Refusal<ConfigException>("vgg", path), StringComparison.Ordinal);
        Assert.Contains("give the path", Refusal<ConfigException>("resnet20", null), StringComparison.Ordinal);
        Assert.Contains("does not exist", Refusal<NextPatchException>("resnet20", _folder["none.safetensors"]), StringComparison.Ordinal);

        tensors.Remove("layer3.2.bn2.running_var");
        FormulaNetworks.Save(path, tensors);
        Assert.Contains("it has no tensor 'layer3.2.bn2.running_var'", Refusal<DataFormatException>(null, path), StringComparison.Ordinal);
        FormulaNetworks.Save(path, new Dictionary<string, StoredTensor> { ["some.weight"] = FormulaTensors.Make("x", 1, 0, 3) });
        Assert.Contains(
            "no known feature network (1 tensors, the first is 'some.weight')", Refusal<DataFormatException>(null, path), StringComparison.Ordinal);
        FormulaNetworks.Save(path, FormulaNetworks.MobileNet(8));
        Assert.Contains("name the network, for instance mobilenet-v1-0.25-128", Refusal<ConfigException>(null, path), StringComparison.Ordinal);
        Assert.Contains(
            "holds the weights of mobilenet-v1-0.25-128, not of mobilenet-v1-0.5-128", Refusal<DataFormatException>("mobilenet-v1-0.5-128", path),
            StringComparison.Ordinal);
        File.WriteAllBytes(path, new byte[40]);
        Refusal<DataFormatException>(null, path);

        FormulaNetworks.Save(path, FormulaNetworks.ResNet(1));
        using var network = FeatureNetworks.Open("resnet8", path);
        foreach (var (count, height, width) in new[] { (32 * 32, 32, 32), (0, 0, 32), (3 * 32, 32, -1) })
        {
            Assert.Contains(
                "made RGB first", Assert.Throws<NextPatchException>(() => network.Extract(new byte[count], height, width)).Message,
                StringComparison.Ordinal);
        }

        Assert.Equal(0, network.Extract([], 32, 32).Count);
    }

    [Fact]
    public void Weights_saved_by_torch_are_read_under_every_extension()
    {
        PyTorchFile.Write(_folder["resnet8.th"], FormulaNetworks.ResNet(1));

        using var network = FeatureNetworks.Open(null, _folder["resnet8.th"]);

        Assert.Equal("resnet8", network.Name);
    }

    [Theory]
    [InlineData(null, true)]
    [InlineData("inception", true)]
    [InlineData("resnet20", false)]
    public void A_missing_file_is_said_with_the_published_one_where_it_could_be_meant(string? name, bool isNamed)
    {
        var message = Refusal<NextPatchException>(name, _folder["none.pth"]);

        Assert.Contains("none.pth' does not exist", message, StringComparison.Ordinal);
        Assert.Equal(
            isNamed, message.Contains(PytorchFidInception.Address, StringComparison.Ordinal) && message.Contains(
            PytorchFidInception.Hash, StringComparison.Ordinal) && message.Contains(PytorchFidInception.CachePath, StringComparison.Ordinal));
    }

    [Fact]
    public void The_published_inception_file_is_sought_in_the_cache_and_known_by_its_hash()
    {
        Environment.SetEnvironmentVariable(CacheVariable, _folder.Path);
        var message = Refusal<NextPatchException>("inception", null);
        Assert.Contains(
            "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth", message,
            StringComparison.Ordinal);
        Assert.Contains(_folder[Path.Combine("nextpatch", "pt_inception-2015-12-05-6726825d.pth")], message, StringComparison.Ordinal);

        Directory.CreateDirectory(_folder["nextpatch"]);
        PyTorchFile.Write(PytorchFidInception.CachePath, [KeyValuePair.Create("fc.bias", FormulaTensors.Make("x", 1, 0, 8))]);
        Assert.Contains("the published file has 6726825d", Refusal<NextPatchException>(null, null), StringComparison.Ordinal);
        Assert.EndsWith($"-{PytorchFidInception.Hash[..8]}.pth", PytorchFidInception.FileName, StringComparison.Ordinal);
    }

    private static string Refusal<TException>(string? name, string? path)
        where TException : Exception
        => Assert.ThrowsAny<TException>(() => FeatureNetworks.Open(name, path)).Message;

    private static byte[] Pixels(int count, int side)
    {
        var pixels = new byte[count * side * side * 3];
        for (var i = 0; i < pixels.Length; i++)
        {
            pixels[i] = (byte)(127 * (1 + FormulaTensors.Value(7, (uint)i)));
        }

        return pixels;
    }

    private static Tensor Planes(byte[] pixels, int side)
        => tensor(pixels, [pixels.Length / (side * side * 3), side, side, 3]).permute(0, 3, 1, 2).to(float64);

    private static Tensor Of(Dictionary<string, StoredTensor> tensors, string key) => StateLoader.ToTensor(tensors[key].Read()).to(float64);

    // As the paper has it, batch norms apart.
    private static (Tensor Pooled, Tensor Logits) ExactResNet(Dictionary<string, StoredTensor> tensors, int blocks, Tensor levels)
    {
        Tensor Layer(Tensor x, string convolution, string norm, long stride) => functional.batch_norm(
            functional.conv2d(x, Of(tensors, $"{convolution}.weight"), null, [stride, stride], [1, 1]),
            Of(tensors, $"{norm}.running_mean"), Of(tensors, $"{norm}.running_var"), Of(tensors, $"{norm}.weight"), Of(tensors, $"{norm}.bias"),
                eps: 1e-5);
        var x = (levels / 255 - tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)) / tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1);
        x = functional.relu(Layer(x, "conv1", "bn1", 1));
        for (var i = 0; i < 3 * blocks; i++)
        {
            var (prefix, halves) = ($"layer{(i / blocks) + 1}.{i % blocks}", i > 0 && i % blocks == 0);
            var y = Layer(functional.relu(Layer(x, $"{prefix}.conv1", $"{prefix}.bn1", halves ? 2 : 1)), $"{prefix}.conv2", $"{prefix}.bn2", 1);
            if (halves)
            {
                var quarter = zeros(x.size(0), y.size(1) / 4, y.size(2), y.size(3), float64);
                x = cat([quarter, functional.max_pool2d(x, 1, 2), quarter], 1);
            }

            x = functional.relu(x + y);
        }

        var pooled = x.mean([2, 3]);
        return (pooled, functional.linear(pooled, Of(tensors, "linear.weight"), Of(tensors, "linear.bias")));
    }

    private static (Tensor Pooled, Tensor Logits) ExactMobileNet(Dictionary<string, StoredTensor> tensors, Tensor levels)
    {
        Tensor Layer(Tensor x, string key, long stride, bool isDepthwise = false)
        {
            var weight = Of(tensors, $"{key}.weight");
            x = weight.size(2) == 1 ? x : functional.pad(x, stride == 2 ? [0, 1, 0, 1] : [1, 1, 1, 1]);
            return functional.conv2d(x, weight, Of(tensors, $"{key}.bias"), [stride, stride], groups: isDepthwise ? x.size(1) : 1).clamp(0, 6);
        }

        var x = Layer((levels - 128) / 128, "conv0", 2);
        for (var i = 1; i <= 13; i++)
        {
            x = Layer(Layer(x, $"block{i}.dw", i is 2 or 4 or 6 or 12 ? 2 : 1, isDepthwise: true), $"block{i}.pw", 1);
        }

        var pooled = x.mean([2, 3]);
        return (pooled, functional.linear(pooled, Of(tensors, "logits.weight").flatten(1), Of(tensors, "logits.bias")));
    }

    private static void AssertClose(Tensor expected, float[] actual)
    {
        var values = expected.contiguous().data<double>().ToArray();
        Assert.Equal(values.Length, actual.Length);
        var error = values.Zip(actual, (e, a) => Math.Abs(e - a)).Max();
        Assert.True(error < 1e-5 * (1 + values.Max(Math.Abs)), $"{error} apart where the largest value is {values.Max(Math.Abs)}");
    }
}
