using NextPatch.Torch.Perception;
using static TorchSharp.torch;

namespace NextPatch.Evaluation.Networks;

/// <summary>Convolutions one after the other, then, where there is a fork, several that read the same and give their outputs side by side.</summary>
internal sealed record InceptionBranch(FrozenConvolution[] Chain, FrozenConvolution[] Fork)
{
    /// <param name="x">float [B, C, h, w].</param>
    /// <returns>The outputs, one or as many as the fork has, in the caller's dispose scope.</returns>
    public IEnumerable<Tensor> Forward(Tensor x)
    {
        foreach (var convolution in Chain)
        {
            x = convolution.ForwardRelu(x);
        }

        return Fork.Length == 0 ? [x] : [.. Fork.Select(convolution => convolution.ForwardRelu(x))];
    }
}
