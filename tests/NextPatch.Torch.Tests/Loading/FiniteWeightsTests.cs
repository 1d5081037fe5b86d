using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Checkpoints.PyTorch;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Core.Sampling;
using NextPatch.Core.Tensors;
using NextPatch.Torch.Generation;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Perception;
using NextPatch.Torch.Tests.Gpt;
using NextPatch.Torch.Tokenizer;
using TorchSharp;
using static TorchSharp.torch;

namespace NextPatch.Torch.Tests.Loading;

/// <summary>A number that is not finite is refused where weights are loaded, whatever network they are for and whatever file they lie in.</summary>
[NoTensorLeaks]
public sealed class FiniteWeightsTests
{
    [Theory]
    [InlineData(".pt", float.NaN)]
    [InlineData(".safetensors", float.PositiveInfinity)]
    [InlineData(".npz", float.NegativeInfinity)]
    public void A_transformer_with_one_is_refused(string extension, float bad)
    {
        using var folder = new TemporaryFolder();
        using var model = TinyGpt.Create();
        var state = Broken(StateLoader.Capture(model), "layers.1.attention.wo.weight", 77, bad);
        Write(folder["a" + extension], state);
        using var weights = WeightsFile.Open(folder["a" + extension]);
        foreach (var precision in new[] { ComputePrecision.Fp32, ComputePrecision.Bf16 })
        {
            var error = Assert.Throws<DataFormatException>(() => new TorchBackend().OpenEngine(TinyGpt.Config, weights, precision));
            Assert.Contains("'layers.1.attention.wo.weight' holds a number that is not finite (element 77", error.Message, StringComparison.Ordinal);
        }
    }

    /// <summary>Finite in the file, and not in the type that the network computes in.</summary>
    [Fact]
    public void What_overflows_when_it_is_rounded_is_refused()
    {
        using var model = TinyGpt.Create();
        var state = Broken(StateLoader.Capture(model), "norm.weight", 3, float.MaxValue).ToDictionary();
        StateLoader.Load(model, state, "file"); // fits float32
        model.to(ScalarType.BFloat16);
        Assert.Throws<DataFormatException>(() => StateLoader.Load(model, state, "file"));
    }

    [Fact]
    public void A_tokenizer_with_one_is_refused()
    {
        using var folder = new TemporaryFolder();
        using (var tokenizer = new VqTokenizer(
            new TokenizerConfig { ImageSide = 8, CodebookSize = 8, Channels = [16, 16], BlockCounts = [0, 1] }, seed: 1))
        {
            tokenizer.SaveTo(folder.Path);
            SafetensorsFile.Write(folder["model.safetensors"], Broken(StateLoader.Capture(tokenizer), "quantize.embedding.weight", 5, float.NaN));
        }

        Assert.Contains(
            "'quantize.embedding.weight'", Assert.Throws<DataFormatException>(() => VqTokenizer.Load(folder.Path).Dispose()).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Perceptual_networks_with_one_are_refused_and_so_are_shapes_that_do_not_follow()
    {
        Dictionary<string, StoredTensor> Vgg(params (string Name, StoredTensor Tensor)[] others)
        {
            var tensors = new Dictionary<string, StoredTensor>();
            var (channels, group) = (3, 0);
            foreach (var positions in new[] { new[] { 0, 2 }, [5, 7], [10, 12, 14], [17, 19, 21], [24, 26, 28] })
            {
                foreach (var position in positions)
                {
                    tensors[$"features.{position}.weight"] = StoredTensor.From(HostTensor.FromSingles([4, channels, 3, 3], new float[36 * channels]));
                    tensors[$"features.{position}.bias"] = StoredTensor.From(HostTensor.FromSingles([4], new float[4]));
                    channels = 4;
                }

                tensors[$"lin{group++}.weight"] = StoredTensor.From(HostTensor.FromSingles([1, 4, 1, 1], new float[4]));
            }

            foreach (var (name, tensor) in others)
            {
                tensors[name] = tensor;
            }

            return tensors;
        }

        new Lpips(Vgg(), Vgg(), "file").Dispose();
        foreach (var (name, tensor) in new (string, HostTensor)[]
        {
            ("features.7.bias", HostTensor.FromSingles([4], [0, 0, float.NaN, 0])),
            ("lin2.weight", HostTensor.FromSingles([1, 5, 1, 1], new float[5])),
            ("features.12.weight", HostTensor.FromSingles([4, 3, 3, 3], new float[108])),
            ("features.0.weight", HostTensor.FromSingles([108], new float[108])),
            ("features.2.bias", HostTensor.From<int>(ElementType.Int32, [4], [0, 0, 0, 0])),
        })
        {
            var tensors = Vgg((name, StoredTensor.From(tensor)));
            Assert.Contains(
                $"'{name}'", Assert.Throws<DataFormatException>(() => new Lpips(tensors, tensors, "file").Dispose()).Message,
                    StringComparison.Ordinal);
        }
    }

    /// <summary>Finite weights whose products are not: drawing ends with the position, and does not give one code everywhere.</summary>
    [Theory]
    [InlineData(1.0)]
    [InlineData(3.0)]
    public void Logits_that_are_not_finite_end_the_drawing_with_their_position(double scale)
    {
        using var model = TinyGpt.Create();
        using (no_grad())
        using (NewDisposeScope())
        {
            model.Head.fill_(float.MaxValue / 4);
        }

        using var engine = new TorchGenerationEngine(model, ownsModel: false);
        var request = new GenerationRequest { Labels = [0, 1], FirstIndex = 7, Sampling = new SamplingConfig { GuidanceScale = scale } };
        Assert.Matches(
            "^Drawing stops at position 0 of image [78]: the logit of code \\d+ is ", // where the sum overflows first
            Assert.Throws<NextPatchException>(() => engine.Generate(request)).Message);
        Assert.Throws<NextPatchException>(() => engine.Generate(request with { Sampling = request.Sampling with { Greedy = true } }));
    }

    private static List<KeyValuePair<string, HostTensor>> Broken(List<KeyValuePair<string, HostTensor>> state, string name, int at, float bad)
    {
        var place = state.FindIndex(p => p.Key == name);
        Assert.True(place >= 0, string.Join(", ", state.Select(p => p.Key)));
        var values = state[place].Value.ToSingles();
        values[at] = bad;
        state[place] = KeyValuePair.Create(name, HostTensor.FromSingles(state[place].Value.Shape, values));
        return state;
    }

    private static void Write(string path, List<KeyValuePair<string, HostTensor>> state)
    {
        switch (Path.GetExtension(path))
        {
            case ".pt": PyTorchFile.Write(path, state); break;
            case ".npz": NpzFile.Write(path, state.Select(p => KeyValuePair.Create(p.Key, StoredTensor.From(p.Value)))); break;
            default: SafetensorsFile.Write(path, state); break;
        }
    }
}
