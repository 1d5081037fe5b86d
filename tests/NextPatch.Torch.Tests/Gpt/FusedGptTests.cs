using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;
using NextPatch.Kernels.Simd;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Gpt.Fused;
using NextPatch.Torch.Patches;
using static TorchSharp.torch;

namespace NextPatch.Torch.Tests.Gpt;

[NoTensorLeaks]
public sealed class FusedGptTests
{
    // Widths that no vector divides: heads of 12, feed-forward part of 44, 23 codes.
    private static readonly GptConfig Odd = TinyGpt.Config with { Width = 36, HeadCount = 3, FfnMultipleOf = 4, VocabularySize = 23 };

    public static TheoryData<string, int> Shapes => new()
    {
        { "plain", 1 }, { "plain", 2 }, { "plain", 4 }, { "odd", 1 }, { "odd", 2 }, { "grouped", 1 }, { "wide", 1 }, { "wide", 2 },
    };

    private static GptConfig Config(string shape) => shape switch
    {
        "odd" => Odd,
        "grouped" => TinyGpt.Config with { KvHeadCount = 2 },
        "wide" => TinyGpt.Config with { Width = 128, HeadCount = 2, GridSide = 8 }, // 64 queries: several blocks, whole tiles
        _ => TinyGpt.Config,
    };

    /// <summary>The model with automatic gradients is the reference.</summary>
    [Theory]
    [MemberData(nameof(Shapes))]
    public void Loss_and_every_gradient_equal_those_of_automatic_differentiation(string shape, int side)
    {
        var config = Config(shape);
        using var model = TinyGpt.Create(config);
        var (expectedLoss, expected) = Automatic(model, side);
        var (loss, actual) = Passed(model, side, ComputePrecision.Fp32);
        Assert.Equal(expectedLoss, loss, 2e-5);
        AssertClose(expected, actual, 2e-5);
    }

    [Theory]
    [InlineData(ComputePrecision.Fp32)]
    [InlineData(ComputePrecision.Bf16)]
    public void Recomputed_activations_give_the_same_bits(ComputePrecision precision)
    {
        using var model = TinyGpt.Create(
            TinyGpt.Config with
            {
                LayerCount = 3,
                TokenDropout = 0.1,
                ResidualDropout = 0.2,
                FfnDropout = 0.1,
                AttentionDropout = 0.1,
                DropPath = 0.3,
            });
        var (loss, kept) = Passed(model, 1, precision);
        var (again, recomputed) = Passed(model, 1, precision, recompute: true);
        Assert.Equal(loss, again);
        foreach (var (name, gradient) in kept)
        {
            Assert.Equal(gradient, recomputed[name]);
        }
    }

    /// <summary>Counted by hand, so that a buffer that is added or widened without need is seen.</summary>
    [Theory]
    [InlineData(ComputePrecision.Fp32, 4, false)]
    [InlineData(ComputePrecision.Fp32, 4, true)]
    [InlineData(ComputePrecision.Bf16, 2, false)]
    [InlineData(ComputePrecision.Bf16, 2, true)]
    public void Memory_is_that_of_the_activations_and_one_chunk_of_logits(ComputePrecision precision, long size, bool recompute)
    {
        var config = GptPresets.Get("B");
        const long rows = 3000, c = 768, h = 12, q = 3 * c, f = 2048, v = 16384, layers = 12, chunk = (1 << 24) / v;

        long input = 4 * c, block = (4 * ((2 * c) + 2 + h)) + (size * ((2 * c) + q + c + (2 * f)));
        var blocks = recompute ? block + ((layers - 1) * input) : layers * block;
        var shared = (4 * c) + (size * ((3 * c) + c + (2 * f)));
        var final = (4 * (c + 1)) + (size * c);
        var copies = precision == ComputePrecision.Fp32 ? 0 : (layers * ((c * q) + (c * c) + (3 * c * f))) + (c * v);
        var isOwn = precision == ComputePrecision.Fp32 ? TorchGemm.IsPreferredFor<Fp32>() : TorchGemm.IsPreferredFor<Bf16>();
        var products = isOwn ? 8L << 20 : precision == ComputePrecision.Fp32 ? 0 : size * c * v; // panels, or a weight's gradient

        Assert.Equal(
            (rows * (blocks + shared + final)) + (size * ((chunk * v) + copies)) + products, FusedGpt.BytesFor(config, precision, rows, recompute));
    }

    [Fact]
    public void Bf16_is_near_float()
    {
        using var model = TinyGpt.Create(Config("wide"));
        var (expectedLoss, expected) = Automatic(model, 2);
        var (loss, actual) = Passed(model, 2, ComputePrecision.Bf16);
        Assert.Equal(expectedLoss, loss, 0.02);
        AssertClose(expected, actual, 0.05);
    }

    [Theory]
    [InlineData(ComputePrecision.Fp32, 1e-5)]
    [InlineData(ComputePrecision.Bf16, 0.03)]
    public void Micro_batches_add_up_to_the_batch(ComputePrecision precision, double tolerance)
    {
        using var model = TinyGpt.Create();
        var (loss, whole) = Passed(model, 2, precision);
        using var pass = new FusedGpt(model, precision);
        var (labels, codes) = Batch(model.Config);
        var perImage = model.Config.CodesPerImage;
        foreach (var (first, count) in ((int, int)[])[(0, 1), (1, 2)])
        {
            pass.Forward(
                labels.AsMemory(first, count), codes.AsMemory(first * perImage, count * perImage), new PatchGeometry(4, 2), scale: count / 3.0);
            pass.Backward();
        }

        Assert.Equal(loss, pass.TakeLoss(), tolerance);
        AssertClose(whole, Gradients(model), tolerance);
    }

    /// <summary>With recomputed activations too: a pass that only judges must not spoil what the next one keeps.</summary>
    [Theory]
    [InlineData(ComputePrecision.Fp32, false, 1e-5)]
    [InlineData(ComputePrecision.Fp32, true, 1e-5)]
    [InlineData(ComputePrecision.Bf16, false, 0.02)]
    public void Evaluation_is_the_loss_without_dropout_and_leaves_no_gradient(ComputePrecision precision, bool recompute, double tolerance)
    {
        using var plain = TinyGpt.Create();
        using var model = TinyGpt.Create(
            plain.Config with { TokenDropout = 0.2, ResidualDropout = 0.3, FfnDropout = 0.2, AttentionDropout = 0.3, DropPath = 0.4 });
        var (expected, _) = Automatic(plain, 2);
        var (labels, codes) = Batch(model.Config);
        using var pass = new FusedGpt(model, precision, recompute);
        var (before, _) = Passed(model, 2, precision, recompute);

        Assert.Equal(expected, pass.Evaluate(labels, codes, new PatchGeometry(model.Config.GridSide, 2)), tolerance);
        Assert.All(model.parameters(), p => Assert.Null(p.grad));
        Assert.Throws<InvalidOperationException>(() => pass.Backward());
        pass.Forward(labels, codes, new PatchGeometry(model.Config.GridSide, 2), 7);
        Assert.Equal(before, pass.TakeLoss());
        Assert.Equal(0, pass.TakeLoss());
        Gradients(model);
    }

    /// <summary>The gradient along itself is the slope of the loss, dropout included: both passes must drop the same elements.</summary>
    [Fact]
    public void Dropout_of_forward_and_backward_pass_is_the_same()
    {
        using var model = TinyGpt.Create(
            TinyGpt.Config with { TokenDropout = 0.2, ResidualDropout = 0.3, FfnDropout = 0.2, AttentionDropout = 0.3, DropPath = 0.4 });
        var (loss, gradients) = Passed(model, 1, ComputePrecision.Fp32);
        var (other, _) = Passed(model, 1, ComputePrecision.Fp32, seed: 8);
        Assert.NotEqual(loss, other);

        var squared = gradients.Values.Sum(g => g.Sum(v => (double)v * v));
        var step = 1e-3 / Math.Sqrt(squared);
        double Moved(double by)
        {
            using var scope = NewDisposeScope();
            using var noGrad = no_grad();
            foreach (var (name, parameter) in model.named_parameters())
            {
                parameter.add_(tensor(gradients[name]).view(parameter.shape), alpha: by);
            }

            return Passed(model, 1, ComputePrecision.Fp32).Loss;
        }

        var up = Moved(step);
        var down = Moved(-2 * step);
        Assert.Equal(1, (up - down) / (2 * step * squared), 0.02);
    }

    [Fact]
    public void Copies_follow_the_parameters()
    {
        using var model = TinyGpt.Create();
        using var pass = new FusedGpt(model, ComputePrecision.Bf16);
        using (var scope = NewDisposeScope())
        using (no_grad())
        {
            foreach (var parameter in model.parameters())
            {
                parameter.mul_(1.7f);
            }

            pass.RefreshCopies();
            foreach (var (name, parameter) in model.named_parameters())
            {
                if (pass.Copies.TryGetValue(name, out var copy))
                {
                    Assert.Equal(0f, (parameter.to_type(ScalarType.BFloat16) - copy).abs().max().to_type(ScalarType.Float32).item<float>());
                }
            }
        }

        Assert.Equal(2 * 5 + 1, pass.Copies.Count);
    }

    private static (double Loss, Dictionary<string, float[]> Gradients) Automatic(GptModel model, int side)
    {
        using var scope = NewDisposeScope();
        model.train();
        var grouping = new MeanPatchGrouping(new PatchGeometry(model.Config.GridSide, side));
        var (labels, codes) = Batch(model.Config);
        var codeTensor = tensor(codes, [3, model.Config.CodesPerImage]);
        var hidden = model.PatchHidden(tensor(labels), codeTensor, grouping);
        var (loss, gradient) = PatchLoss.Backward(hidden, model.Head, IPatchGrouping.ByPatch(codeTensor, grouping.Geometry));
        hidden.backward([gradient]);
        return (loss.item<float>(), Gradients(model));
    }

    private static (double Loss, Dictionary<string, float[]> Gradients) Passed(
        GptModel model, int side, ComputePrecision precision, bool recompute = false, ulong seed = 7)
    {
        using var pass = new FusedGpt(model, precision, recompute);
        var (labels, codes) = Batch(model.Config);
        pass.Forward(labels, codes, new PatchGeometry(model.Config.GridSide, side), seed);
        pass.Backward();
        return (pass.TakeLoss(), Gradients(model));
    }

    private static (long[] Labels, long[] Codes) Batch(GptConfig config)
        => ([0, 2, 1], [.. Enumerable.Range(0, 3 * config.CodesPerImage).Select(i => (long)((i * i) + (i / 7)) % config.VocabularySize)]);

    /// <summary>Takes the gradients away from the model.</summary>
    private static Dictionary<string, float[]> Gradients(GptModel model)
    {
        using var scope = NewDisposeScope();
        return model.named_parameters().ToDictionary(p => p.name, p =>
        {
            var values = (p.parameter.grad ?? zeros_like(p.parameter)).data<float>().ToArray();
            p.parameter.grad = null;
            return values;
        });
    }

    private static void AssertClose(Dictionary<string, float[]> expected, Dictionary<string, float[]> actual, double tolerance)
    {
        foreach (var (name, values) in expected)
        {
            var scale = Math.Sqrt(values.Average(v => (double)v * v)) + 1e-7;
            var error = Math.Sqrt(values.Zip(actual[name], (a, b) => (double)(a - b) * (a - b)).Average());
            Assert.True(error <= tolerance * scale, $"{name}: off by {error:g3}, gradients are {scale:g3}");
        }
    }
}
