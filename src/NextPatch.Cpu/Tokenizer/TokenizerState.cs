using NextPatch.Core;
using NextPatch.Core.Tensors;

namespace NextPatch.Cpu.Tokenizer;

/// <summary>A tokenizer's weights by the published names, read when a layer asks for them.</summary>
/// <param name="tensors">By state key.</param>
/// <param name="source">What messages call them.</param>
internal sealed class TokenizerState(IReadOnlyDictionary<string, StoredTensor> tensors, string source)
{
    /// <exception cref="NextPatchException">Missing or of another shape.</exception>
    public HostTensor Get(string name, params long[] shape)
    {
        if (!tensors.TryGetValue(name, out var tensor) || !tensor.Shape.SequenceEqual(shape) || !tensor.Type.IsFloating())
        {
            throw new NextPatchException(
                $"The weights in {source} do not fit the tokenizer: '{name}' is {(tensor is null ? "missing" : $"{tensor}")} but the tokenizer "
                    + $"expects "
                + $"{HostTensor.Describe(shape)}; the configuration is probably another.");
        }

        return tensor.As(ElementType.Float32).Read();
    }

    /// <summary>A square convolution with a bias.</summary>
    public Convolution Convolution(string name, int inputs, int outputs, int side)
        => Tokenizer.Convolution.Create(Get($"{name}.weight", outputs, inputs, side, side), Get($"{name}.bias", outputs));

    /// <summary>32 groups, epsilon 1e-6.</summary>
    public GroupNorm VqganNorm(string name, int channels) => new(Get($"{name}.weight", channels), Get($"{name}.bias", channels), 32, 1e-6);

    /// <summary>Groups of eight channels, epsilon 1e-5.</summary>
    public GroupNorm SmallNorm(string name, int channels) => new(Get($"{name}.weight", channels), Get($"{name}.bias", channels), channels / 8, 1e-5);
}
