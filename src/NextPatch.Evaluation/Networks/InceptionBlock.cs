using NextPatch.Torch.Perception;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Evaluation.Networks;

// Shape letters used in this file: B batch, C channels, h and w of a feature map.

/// <summary>What the last branch of a block does with the block's input.</summary>
internal enum InceptionPool
{
    /// <summary>
    /// Averages over 3x3 real pixels, then a 1x1 convolution: computed the other way round, which is the same and averages fewer channels.
    /// </summary>
    Average,

    /// <summary>Maximum over 3x3, then a 1x1 convolution.</summary>
    Maximum,

    /// <summary>Maximum over 3x3 with stride 2 and nothing else.</summary>
    Halving,
}

/// <summary>One mixed block: parallel branches whose outputs are put side by side.</summary>
/// <remarks>The 1x1 convolutions that read the block's input are one convolution with more outputs: the input is read once.</remarks>
internal sealed class InceptionBlock
{
    /// <summary>The 1x1 convolutions at the head of the branches, joined; then the pool's where it may be exchanged with it.</summary>
    public required FrozenConvolution Heads { get; init; }

    /// <summary>Channels that each branch takes from <see cref="Heads"/>.</summary>
    public required int[] HeadWidths { get; init; }

    /// <summary>What follows the head of each branch.</summary>
    public required InceptionBranch[] Branches { get; init; }

    /// <summary>A branch without a head, which comes first.</summary>
    public FrozenConvolution? Headless { get; init; }

    public required InceptionPool Pool { get; init; }

    /// <summary>The convolution behind <see cref="InceptionPool.Maximum"/>.</summary>
    public FrozenConvolution? PoolProjection { get; init; }

    /// <param name="x">float [B, C, h, w].</param>
    /// <returns>The branches' outputs side by side, [B, C', h', w'], in the caller's dispose scope.</returns>
    public Tensor Forward(Tensor x)
    {
        using var scope = NewDisposeScope();
        var outputs = new List<Tensor>();
        if (Headless is not null)
        {
            outputs.Add(Headless.ForwardRelu(x));
        }

        var heads = Heads.Forward(x);
        var at = 0;
        for (var i = 0; i < Branches.Length; i++)
        {
            outputs.AddRange(Branches[i].Forward(functional.relu(heads.narrow(1, at, HeadWidths[i]))));
            at += HeadWidths[i];
        }

        outputs.Add(Pool switch
        {
            InceptionPool.Average => functional.avg_pool2d(heads.narrow(1, at, heads.size(1) - at), 3, 1, 1, count_include_pad: false).relu_(),
            InceptionPool.Maximum => PoolProjection!.ForwardRelu(functional.max_pool2d(x, 3, 1, 1)),
            _ => functional.max_pool2d(x, 3, 2),
        });
        return cat(outputs, 1).MoveToOuterDisposeScope();
    }
}

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
