using NextPatch.Torch.Convolutions;
using static TorchSharp.torch;

namespace NextPatch.Torch.Tests.Convolutions;

[NoTensorLeaks]
public sealed class AlignedConvolutionTests
{
    [Theory]
    [InlineData(3, 64)]
    [InlineData(3, 6)]
    [InlineData(6, 12)]
    [InlineData(17, 3)]
    [InlineData(24, 48)]
    [InlineData(48, 1)]
    [InlineData(32, 3)]
    [InlineData(40, 24)]
    [InlineData(32, 32)]
    public void Values_and_gradients_equal_those_of_float64(int inputs, int outputs)
    {
        foreach (var (side, kernel, stride, padding) in ((int, int, int, int)[])[(16, 3, 1, 1), (8, 4, 1, 1), (4, 4, 1, 1), (17, 3, 2, 0),
            (16, 4, 2, 1), (5, 1, 1, 0)])
        {
            for (var batch = 1; batch <= 2; batch++)
            {
                using var scope = NewDisposeScope();
                manual_seed(1);
                var (images, upstream) = (randn(batch, inputs, side, side), default(Tensor));
                using var convolution = nn.Conv2d(inputs, outputs, kernel, stride: stride, padding: padding);
                var single = Pass(
                    images, convolution.weight!, convolution.bias!, (x, _, _) => AlignedConvolution.Forward(convolution, x), ref upstream);
                convolution.zero_grad();
                var exact = Pass(
                    images.to(ScalarType.Float64), convolution.weight!.detach().to(ScalarType.Float64).requires_grad_(true),
                    convolution.bias!.detach().to(ScalarType.Float64).requires_grad_(true),
                    (x, w, b) => nn.functional.conv2d(x, w, b, [stride, stride], [padding, padding]), ref upstream);
                for (var i = 0; i < exact.Length; i++)
                {
                    var error = (single[i].to(ScalarType.Float64) - exact[i]).abs().max().item<double>();
                    Assert.True(error < 1e-4 * (1 + exact[i].abs().max().item<double>()),
                        $"{"values,input,weight,bias".Split(',')[i]} of {batch}x{inputs}->{outputs}, side {side}, kernel {kernel}, stride "
                        + $"{stride}: {error} apart");
                }
            }
        }
    }

    private static Tensor[] Pass(Tensor images, Tensor weight, Tensor bias, Func<Tensor, Tensor, Tensor, Tensor> convolve, ref Tensor? upstream)
    {
        var x = images.detach().clone().requires_grad_(true);
        var y = convolve(x, weight, bias);
        upstream ??= randn(y.shape);
        (y * upstream.to(y.dtype)).sum().backward();
        return [y, x.grad!, weight.grad!.clone(), bias.grad!.clone()];
    }
}
