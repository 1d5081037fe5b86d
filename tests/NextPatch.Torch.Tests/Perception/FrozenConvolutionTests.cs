using NextPatch.Torch.Loading;
using NextPatch.Torch.Perception;
using static TorchSharp.torch;

namespace NextPatch.Torch.Tests.Perception;

[NoTensorLeaks]
public sealed class FrozenConvolutionTests
{
    // Shapes of the FID Inception network and of narrow MobileNets, where libtorch errs.
    [Theory]
    [InlineData(64, 80, 1, 73, 1, 1)]
    [InlineData(192, 208, 1, 35, 1, 1)]
    [InlineData(288, 240, 1, 35, 1, 1)]
    [InlineData(768, 640, 1, 17, 1, 1)]
    [InlineData(1280, 1344, 1, 8, 1, 1)]
    [InlineData(256, 1001, 1, 1, 1, 1)]
    [InlineData(80, 192, 3, 37, 1, 1)]
    [InlineData(48, 64, 5, 35, 1, 1)]
    [InlineData(24, 40, 3, 19, 1, 1)]
    [InlineData(288, 384, 3, 35, 2, 1)]
    [InlineData(3, 8, 3, 33, 2, 1)]
    [InlineData(24, 24, 3, 19, 1, 24)]
    [InlineData(8, 8, 3, 33, 2, 8)]
    public void Equals_float64_channels_last(int inputs, int outputs, int kernel, int side, int stride, int groups)
    {
        foreach (var batch in (int[])[1, 3])
        {
            using var scope = NewDisposeScope();
            var weight = FormulaTensors.Convolution("weight", outputs, inputs / groups, kernel, kernel).Read();
            var bias = FormulaTensors.Make("bias", 1, 0, outputs).Read();
            using var convolution = new FrozenConvolution(
                weight.ToSingles(), bias.ToSingles(), inputs, (kernel, kernel), stride, (kernel / 2, kernel / 2), groups);
            manual_seed(1);
            var x = FrozenConvolution.ChannelsLast(randn(batch, inputs, side, side));
            var expected = nn.functional.relu(nn.functional.conv2d(
                x.to(float64), StateLoader.ToTensor(weight).to(float64), StateLoader.ToTensor(bias).to(float64), [stride, stride],
                    [kernel / 2, kernel / 2], groups: groups));
            var actual = convolution.ForwardRelu(x);
            Assert.Equal(expected.shape, actual.shape);
            var error = (actual.to(float64) - expected).abs().max().item<double>();
            Assert.True(error < 1e-4, $"batch {batch}: {error} apart");
        }
    }
}
