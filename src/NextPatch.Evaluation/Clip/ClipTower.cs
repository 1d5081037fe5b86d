using NextPatch.Torch.Perception;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Evaluation.Clip;

// Shape letters used in this file: B images or texts, N tokens, C width, H heads, D head width (64), F hidden width.

/// <summary>The blocks of one of CLIP's two transformers: norm, attention, norm, feed-forward with x sigmoid(1.702 x). Weights never
/// change.</summary>
internal sealed class ClipTower : IDisposable
{
    private const int HeadWidth = 64;
    private const double Epsilon = 1e-5;

    private readonly List<Tensor> _owned = [];
    private readonly Block[] _blocks;
    private readonly int _width;
    private readonly bool _isCausal;

    /// <param name="weights">Tensors by name.</param>
    /// <param name="names">What they are called.</param>
    /// <param name="isImage">Which tower; texts are read from left to right.</param>
    /// <param name="width">C.</param>
    /// <exception cref="Core.DataFormatException">Something is missing or of another shape.</exception>
    public ClipTower(PretrainedWeights weights, ClipNames names, bool isImage, int width)
    {
        (_width, _isCausal) = (width, !isImage);
        if (width % HeadWidth != 0)
        {
            throw weights.Mismatch($"a tower has width {width}, which heads of {HeadWidth} do not divide");
        }

        _blocks = new Block[names.Layers(isImage)];
        try
        {
            for (var i = 0; i < _blocks.Length; i++)
            {
                var (hidden, output) = (names.Ffn(isImage, i, isHidden: true), names.Ffn(isImage, i, isHidden: false));
                var ffn = weights.ShapeOf(hidden + ".weight")[0];
                var (qkvWeight, qkvBias) = names.Qkv(isImage, i, width);
                _blocks[i] = new Block(
                    TakeNorm(weights, names.Norm(isImage, i, 1)),
                    (Own(qkvWeight, 3 * width, width), Own(qkvBias, 3 * width)),
                    TakeLinear(weights, names.AttentionOutput(isImage, i), width, width),
                    TakeNorm(weights, names.Norm(isImage, i, 2)),
                    TakeLinear(weights, hidden, ffn, width),
                    TakeLinear(weights, output, width, ffn));
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>A norm's weight and bias, [C] each.</summary>
    public (Tensor Weight, Tensor Bias) TakeNorm(PretrainedWeights weights, string name)
        => (Own(weights.Take(name + ".weight", _width), _width), Own(weights.Take(name + ".bias", _width), _width));

    /// <summary>Norm over the last axis.</summary>
    public Tensor Norm(Tensor x, (Tensor Weight, Tensor Bias) norm) => functional.layer_norm(x, [_width], norm.Weight, norm.Bias, Epsilon);

    /// <param name="x">[B, N, C].</param>
    /// <returns>[B, N, C], in the caller's dispose scope.</returns>
    public Tensor Run(Tensor x)
    {
        using var scope = NewDisposeScope();
        foreach (var block in _blocks)
        {
            x = x + Attend(Norm(x, block.AttentionNorm), block);
            var hidden = functional.linear(Norm(x, block.FfnNorm), block.Hidden.Weight, block.Hidden.Bias);      // [B, N, F]
            x = x + functional.linear(hidden * (hidden * 1.702f).sigmoid(), block.Down.Weight, block.Down.Bias); // [B, N, C]
        }

        return x.MoveToOuterDisposeScope();
    }

    /// <summary>A tensor that lives as long as the tower.</summary>
    public Tensor Own(float[] values, params long[] shape)
    {
        var owned = tensor(values, shape).DetachFromDisposeScope();
        _owned.Add(owned);
        return owned;
    }

    public void Dispose() => _owned.ForEach(owned => owned.Dispose());

    private (Tensor Weight, Tensor Bias) TakeLinear(PretrainedWeights weights, string name, long outputs, long inputs)
        => (Own(weights.Take(name + ".weight", outputs, inputs), outputs, inputs), Own(weights.Take(name + ".bias", outputs), outputs));

    private Tensor Attend(Tensor x, Block block)
    {
        var (batch, tokens) = (x.size(0), x.size(1));
        var parts = functional.linear(x, block.Qkv.Weight, block.Qkv.Bias).view(batch, tokens, 3, _width / HeadWidth, HeadWidth)
            .permute(2, 0, 3, 1, 4);                                                                             // [3, B, H, N, D]
        var mixed = functional.scaled_dot_product_attention(parts[0], parts[1], parts[2], is_casual: _isCausal)
            .transpose(1, 2).reshape(batch, tokens, _width);
        return functional.linear(mixed, block.Output.Weight, block.Output.Bias);
    }

    private sealed record Block(
        (Tensor Weight, Tensor Bias) AttentionNorm, (Tensor Weight, Tensor Bias) Qkv, (Tensor Weight, Tensor Bias) Output,
        (Tensor Weight, Tensor Bias) FfnNorm, (Tensor Weight, Tensor Bias) Hidden, (Tensor Weight, Tensor Bias) Down);
}
