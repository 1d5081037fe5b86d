using NextPatch.Core.Tensors;
using NextPatch.Torch.Perception;
using static TorchSharp.torch;

namespace NextPatch.Torch.Tests.Perception;

[NoTensorLeaks]
public sealed class LpipsTests
{
    // Positions and groups of VGG-16's convolutions; a quarter of its channels.
    private static readonly (int Group, int Position, int Inputs, int Outputs)[] Convolutions =
    [
        (1, 0, 3, 16), (1, 2, 16, 16), (2, 5, 16, 32), (2, 7, 32, 32), (3, 10, 32, 64), (3, 12, 64, 64), (3, 14, 64, 64), (4, 17, 64, 128),
        (4, 19, 128, 128), (4, 21, 128, 128),
        (5, 24, 128, 128), (5, 26, 128, 128), (5, 28, 128, 128),
    ];

    /// <summary>
    /// Rounded behind each of 13 layers, forward and backward; float32 stands for what is exact (the recorded distances are compared with it).
    /// </summary>
    [Fact]
    public void In_bfloat16_distance_and_gradient_are_those_of_float32_up_to_rounding()
    {
        using var scope = NewDisposeScope();
        var features = Convolutions.SelectMany(c => new (string, StoredTensor)[]
        {
            ($"features.{c.Position}.weight", FormulaTensors.Convolution($"{c.Position}.weight", c.Outputs, c.Inputs, 3, 3)),
            ($"features.{c.Position}.bias", FormulaTensors.Make($"{c.Position}.bias", 0.1f, 0, c.Outputs)),
        }).ToDictionary();
        var heads = Convolutions.GroupBy(c => c.Group)
            .ToDictionary(g => $"lin{g.Key - 1}.weight", g => FormulaTensors.Make($"lin{g.Key - 1}", 0, 0.1f, 1, g.Last().Outputs, 1, 1));
        using var lpips = new Lpips(features, heads, "formula");
        manual_seed(3);
        var images = (rand(3, 3, 32, 32) * 2) - 1;
        var noise = 0.2 * randn_like(images);
        (Tensor Distance, Tensor Gradient) Pass(ScalarType? type)
        {
            var others = (images + noise).requires_grad_(true);
            var distance = lpips.Distance(images, others, type);
            return (distance, autograd.grad([distance.sum()], [others])[0]);
        }

        var (wide, narrow) = (Pass(null), Pass(ScalarType.BFloat16));
        Assert.Equal((ScalarType.Float32, ScalarType.Float32), (narrow.Distance.dtype, narrow.Gradient.dtype));
        Assert.InRange(Apart(narrow.Distance, wide.Distance), 1e-6, 0.01);
        Assert.InRange(Apart(narrow.Gradient, wide.Gradient), 1e-6, 0.25);
    }

    private static float Apart(Tensor a, Tensor b) => ((a - b).norm() / b.norm()).item<float>();
}
