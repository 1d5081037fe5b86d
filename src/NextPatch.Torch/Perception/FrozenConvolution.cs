using NextPatch.Torch.Convolutions;
using static TorchSharp.torch;

namespace NextPatch.Torch.Perception;

// Shape letters used in this file: B batch, I and O input and output channels, G groups, h and w of a feature map.

/// <summary>A convolution whose weights are given and never change; a gradient flows through it to the image.</summary>
/// <remarks>
/// Weights lie channels-last, so that images that do as well are computed without being laid out anew at every layer. A 1x1 convolution is then a
/// matrix product and computed as one: libtorch 2.10 gives wrong values for many numbers of outputs (64 -> 80 at 73x73 is off by 3.3) where it runs
/// on several threads of a processor with AVX-512.
/// </remarks>
internal sealed class FrozenConvolution : IDisposable
{
    private Tensor _weight;
    private Tensor _bias;
    private readonly long[] _stride;
    private readonly long[] _padding;
    private readonly long _groups;
    private readonly bool _isProduct;

    /// <param name="weight">[O, I / G, kernel height, kernel width] in C order.</param>
    /// <param name="bias">[O].</param>
    /// <param name="inputs">I.</param>
    /// <param name="kernel">Height and width of the kernel.</param>
    /// <param name="stride">In both directions.</param>
    /// <param name="padding">Zeros above and below, left and right.</param>
    /// <param name="groups">G.</param>
    public FrozenConvolution(
        ReadOnlySpan<float> weight, ReadOnlySpan<float> bias, int inputs, (int Height, int Width) kernel, int stride = 1,
        (int Height, int Width) padding = default, int groups = 1)
    {
        using var scope = NewDisposeScope();
        (_stride, _padding, _groups) = ([stride, stride], [padding.Height, padding.Width], groups);
        Outputs = bias.Length;
        _isProduct = kernel == (1, 1) && stride == 1 && padding == default && groups == 1;
        _bias = tensor(bias.ToArray()).DetachFromDisposeScope();
        var all = tensor(weight.ToArray(), [Outputs, inputs / groups, kernel.Height, kernel.Width]);
        _weight = (_isProduct ? all.flatten(1) : ChannelsLast(all)).DetachFromDisposeScope();
    }

    /// <summary>Output channels.</summary>
    public int Outputs { get; }

    /// <summary>Reads <c>key.weight</c> [O, I, k, k] and <c>key.bias</c> [O].</summary>
    /// <param name="weights">The file.</param>
    /// <param name="key">The layer's name.</param>
    /// <param name="inputs">I.</param>
    /// <param name="outputs">O; -1 for what the file has.</param>
    /// <param name="kernel">k.</param>
    /// <param name="stride">In both directions.</param>
    /// <param name="padding">Zeros on every side.</param>
    /// <exception cref="Core.DataFormatException">The file does not hold such a layer.</exception>
    public static FrozenConvolution Read(PretrainedWeights weights, string key, int inputs, int outputs, int kernel, int stride = 1, int padding = 0)
        => new(weights.Take($"{key}.weight", outputs, inputs, kernel, kernel), weights.Take($"{key}.bias", weights.ShapeOf($"{key}.weight")[0]),
            inputs, (kernel, kernel), stride, (padding, padding));

    /// <summary>A copy whose channels lie next to each other in memory, if they do not already.</summary>
    /// <param name="x">[B, C, h, w].</param>
    /// <returns>The same shape, in the caller's dispose scope.</returns>
    public static Tensor ChannelsLast(Tensor x)
    {
        using var scope = NewDisposeScope();
        return x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2).MoveToOuterDisposeScope();
    }

    /// <param name="x">float [B, I, h, w].</param>
    /// <returns>[B, O, h', w'] in the caller's dispose scope.</returns>
    public Tensor Forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        Follow(x.device);
        var y = _isProduct
            ? nn.functional.linear(x.permute(0, 2, 3, 1), _weight, _bias).permute(0, 3, 1, 2)
            : AlignedConvolution.Forward(_weight, _bias, x, _stride, _padding, _groups);    // [B, O, h', w']
        ConvolutionTrace.Note(this, x, y, _weight.numel() / Outputs);
        return y.MoveToOuterDisposeScope();
    }

    /// <summary>The same and a ReLU.</summary>
    /// <param name="x">float [B, I, h, w].</param>
    public Tensor ForwardRelu(Tensor x) => Forward(x).relu_();

    public void Dispose()
    {
        _weight.Dispose();
        _bias.Dispose();
    }

    /// <summary>Images decide where it computes: weights move there with the first of them, and stay.</summary>
    private void Follow(Device device)
    {
        if (_weight.device.type == device.type && _weight.device.index == device.index)
        {
            return;
        }

        var (weight, bias) = (_weight, _bias);
        (_weight, _bias) = (weight.to(device).DetachFromDisposeScope(), bias.to(device).DetachFromDisposeScope());
        weight.Dispose();
        bias.Dispose();
    }
}

/// <summary>Notes which frozen convolutions run on this thread while it is open, so that they can be timed alone.</summary>
internal sealed class ConvolutionTrace : IDisposable
{
    [ThreadStatic]
    private static ConvolutionTrace? _open;

    private readonly List<(FrozenConvolution Convolution, long[] Input, double Flops)> _runs = [];

    public ConvolutionTrace() => _open = this;

    /// <summary>Every run in order: the convolution, the shape of its input and its floating-point operations (2 per multiply-add).</summary>
    public IReadOnlyList<(FrozenConvolution Convolution, long[] Input, double Flops)> Runs => _runs;

    public void Dispose() => _open = null;

    internal static void Note(FrozenConvolution convolution, Tensor input, Tensor output, long operationsPerOutput)
        => _open?._runs.Add((convolution, input.shape, 2.0 * output.numel() * operationsPerOutput));
}
