using static TorchSharp.torch;

namespace NextPatch.Torch.Perception;

/// <summary>Notes which frozen convolutions run on this thread while it is open, so that they can be timed alone.</summary>
public sealed class ConvolutionTrace : IDisposable
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
