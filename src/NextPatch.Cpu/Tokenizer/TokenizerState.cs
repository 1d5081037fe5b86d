using NextPatch.Core;
using NextPatch.Core.Tensors;
using NextPatch.Kernels.Convolutions;
using NextPatch.Kernels.Simd;

namespace NextPatch.Cpu.Tokenizer;

/// <summary>A tokenizer's weights by the published names, checked when a layer asks for them and read when it first runs.</summary>
/// <param name="tensors">By state key.</param>
/// <param name="source">What messages call them.</param>
internal sealed class TokenizerState(IReadOnlyDictionary<string, StoredTensor> tensors, string source)
{
    private const int LargeSide = 32;

    /// <exception cref="NextPatchException">Missing or of another shape.</exception>
    public StoredTensor Get(string name, params long[] shape)
    {
        if (!tensors.TryGetValue(name, out var tensor) || !tensor.Shape.SequenceEqual(shape) || !tensor.Type.IsFloating())
        {
            throw new NextPatchException(
                $"The weights in {source} do not fit the tokenizer: '{name}' is {(tensor is null ? "missing" : $"{tensor}")} but the tokenizer "
                    + $"expects {HostTensor.Describe(shape)}; the configuration is probably another.");
        }

        return tensor.As(ElementType.Float32);
    }

    /// <summary>
    /// A square convolution with a bias, 1x1 or 3x3. Large tiles take fewer products; where there are few pixels, reading their weights would take
    /// longer than that saves.
    /// </summary>
    public IConvolution Convolution(string name, int inputs, int outputs, int window, int imageSide)
    {
        var (weight, bias) = (Get($"{name}.weight", outputs, inputs, window, window), Get($"{name}.bias", outputs).Read());
        return window == 1 || inputs % FixedSum.Parts != 0 ? Tokenizer.Convolution.Create(weight, bias, -(window / 2), stride: 1)
            : imageSide < LargeSide ? new WinogradConvolution<WinogradTile2>(weight, bias)
            : new WinogradConvolution<WinogradTile4>(weight, bias);
    }

    /// <summary>32 groups, epsilon 1e-6.</summary>
    public GroupNorm VqganNorm(string name, int channels) => new(
        Get($"{name}.weight", channels).Read(), Get($"{name}.bias", channels).Read(), 32, 1e-6);

    /// <summary>Groups of eight channels, epsilon 1e-5.</summary>
    public GroupNorm SmallNorm(string name, int channels) => new(
        Get($"{name}.weight", channels).Read(), Get($"{name}.bias", channels).Read(), channels / 8, 1e-5);
}
