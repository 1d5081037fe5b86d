using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;
using NextPatch.Kernels.Simd;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Gpt.Fused;
using NextPatch.Torch.Gpt.Reference;
using NextPatch.Torch.Patches;
using static TorchSharp.torch;

namespace NextPatch.Torch.Tests.Gpt;

[NoTensorLeaks]
public sealed class ReferenceGptTests
{
    public static TheoryData<string, int, double> Objectives
    {
        get
        {
            var data = new TheoryData<string, int, double>();
            foreach (var grouping in (string[])["mean", "sum", "scaled-mean", "centre"])
            {
                data.Add(grouping, 1, 0);
                data.Add(grouping, 2, 0);
                data.Add(grouping, 2, 0.7);
                data.Add(grouping, 4, 1.5);
            }

            return data;
        }
    }

    /// <summary>With every kind of dropout on: the reference must be given the fused step's masks.</summary>
    [Theory]
    [MemberData(nameof(Objectives))]
    public void Fused_step_and_reference_have_the_same_loss_and_gradients(string grouping, int side, double targetPower)
    {
        var config = TinyGpt.Config with
        {
            LayerCount = 3,
            KvHeadCount = 2,
            TokenDropout = 0.1,
            ResidualDropout = 0.2,
            FfnDropout = 0.1,
            AttentionDropout = 0.2,
            DropPath = 0.3,
        };
        using var model = TinyGpt.Create(config);
        using var fused = new FusedGpt(model, grouping: grouping, targetPower: targetPower);
        using var reference = new ReferenceGpt(model, grouping, targetPower);
        var geometry = new PatchGeometry(config.GridSide, side);

        var (expectedLoss, expected) = Step(reference, model, geometry);
        var (loss, actual) = Step(fused, model, geometry);

        Assert.Equal(expectedLoss, loss, 2e-5);
        AssertClose(expected, actual);
        Assert.Equal(Evaluate(reference, geometry), Evaluate(fused, geometry), 2e-5);
    }

    /// <summary>What a device hashes by tensors is what the processor's mask gives, across the end of 32 bits too.</summary>
    [Theory]
    [InlineData(0.1, 0x0123456789ABCDEFUL, 0u)]
    [InlineData(0.5, ulong.MaxValue, uint.MaxValue - 500)]
    [InlineData(0.9, 1UL, 0x80000000u)]
    public void Dropout_factors_of_a_device_are_those_of_the_mask(double probability, ulong seed, uint start)
    {
        using var scope = NewDisposeScope();
        var mask = new DropMask(probability, seed, start);
        var (computed, hashed) = (DropoutTensors.Computed(mask, 4099), DropoutTensors.Hashed(mask, 4099, CPU));
        Assert.Equal(computed.data<float>().ToArray(), hashed.data<float>().ToArray());
        Assert.Equal(probability, hashed.eq(0).to_type(ScalarType.Float32).mean().item<float>(), 0.05);
    }

    [Fact]
    public void Patch_positions_differ_at_coarse_sides_only_and_both_steps_agree()
    {
        using var model = TinyGpt.Create();
        using ReferenceGpt grid = new(model), centre = new(model, position: PatchPosition.Centre);
        using var fused = new FusedGpt(model, position: PatchPosition.Centre);
        var (fine, coarse) = (new PatchGeometry(model.Config.GridSide, 1), new PatchGeometry(model.Config.GridSide, 2));

        Assert.Equal(Evaluate(grid, fine), Evaluate(centre, fine));
        Assert.NotEqual(Evaluate(grid, coarse), Evaluate(centre, coarse));
        Assert.Equal(Evaluate(centre, coarse), Evaluate(fused, coarse), 2e-5);
        var table = RotaryEmbedding2d.Table(coarse, PatchPosition.Centre, 4, 0, 10000); // [n, 2, 2]: row, column
        Assert.Equal([MathF.Cos(0.5f), MathF.Sin(0.5f), MathF.Cos(2.5f), MathF.Sin(2.5f)], table[4..8]);
    }

    [Fact]
    public void Groupings_differ_at_coarse_sides_only()
    {
        using var model = TinyGpt.Create();
        double[] Losses(int side) => [.. PatchGroupings.Names.Select(name =>
        {
            using var pass = new ReferenceGpt(model, name);
            return Evaluate(pass, new PatchGeometry(model.Config.GridSide, side));
        })];

        Assert.Single(Losses(1).Distinct());
        Assert.Equal(PatchGroupings.Names.Count, Losses(2).Distinct().Count());
    }

    [Fact]
    public void Backward_without_forward_is_refused_and_evaluation_ends_a_pass()
    {
        using var model = TinyGpt.Create();
        using var pass = new ReferenceGpt(model);
        Assert.Throws<InvalidOperationException>(() => pass.Backward());
        Evaluate(pass, new PatchGeometry(4, 2));
        Assert.Throws<InvalidOperationException>(() => pass.Backward());
        Assert.Empty(pass.Copies);
    }

    [Fact]
    public void A_grouping_that_is_not_linear_or_not_known_is_refused()
    {
        using var model = TinyGpt.Create();
        var notLinear = Assert.Throws<ConfigException>(() => new FusedGpt(model, grouping: "max"));
        Assert.Contains("reference step", notLinear.Message, StringComparison.Ordinal);
        var unknown = Assert.Throws<ConfigException>(() => new ReferenceGpt(model, "median"));
        Assert.Contains("centre, max, mean", unknown.Message, StringComparison.Ordinal);
    }

    private static double Evaluate(IGptPass pass, PatchGeometry geometry)
    {
        var (labels, codes) = Batch();
        return pass.Evaluate(labels, codes, geometry);
    }

    /// <summary>Two micro-batches; takes the gradients away from the model.</summary>
    private static (double Loss, Dictionary<string, float[]> Gradients) Step(IGptPass pass, GptModel model, PatchGeometry geometry)
    {
        var (labels, codes) = Batch();
        foreach (var (first, count) in ((int, int)[])[(0, 1), (1, 2)])
        {
            var (ofLabels, ofCodes) = (labels.AsMemory(first, count), codes.AsMemory(first * 16, count * 16));
            pass.Forward(ofLabels, ofCodes, geometry, (ulong)(7 + first), count / 3.0);
            pass.Backward();
        }

        using var scope = NewDisposeScope();
        return (pass.TakeLoss(), model.named_parameters().ToDictionary(p => p.name, p =>
        {
            var values = (p.parameter.grad ?? zeros_like(p.parameter)).data<float>().ToArray();
            p.parameter.grad = null;
            return values;
        }));
    }

    private static (long[] Labels, long[] Codes) Batch() => ([0, 2, 1], [.. Enumerable.Range(0, 48).Select(i => (long)((i * i) + (i / 7)) % 20)]);

    private static void AssertClose(Dictionary<string, float[]> expected, Dictionary<string, float[]> actual)
    {
        foreach (var (name, values) in expected)
        {
            var scale = Math.Sqrt(values.Average(v => (double)v * v)) + 1e-7;
            var error = Math.Sqrt(values.Zip(actual[name], (a, b) => (double)(a - b) * (a - b)).Average());
            Assert.True(error <= 2e-5 * scale, $"{name}: off by {error:g3}, gradients are {scale:g3}");
        }
    }
}
