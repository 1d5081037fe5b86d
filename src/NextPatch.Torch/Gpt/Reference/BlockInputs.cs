using static TorchSharp.torch;

namespace NextPatch.Torch.Gpt.Reference;

/// <summary>
/// What goes into each block of a model, from which the backward pass computes the block again (activation checkpointing: Chen et al., "Training Deep
/// Nets with Sublinear Memory Cost"). Dropout follows from the seed, so the second time drops the same elements.
/// </summary>
/// <param name="tokens">float [B, T, C] with a graph behind it.</param>
/// <param name="blocks">Each from [B, T, C] to [B, T, C].</param>
/// <param name="needs">Tensors that the blocks read beside it.</param>
/// <param name="run">Runs a block.</param>
internal sealed class BlockInputs(
    Tensor tokens, IReadOnlyList<Func<Tensor, Tensor>> blocks, IReadOnlyList<Tensor> needs,
    Func<Func<Tensor, Tensor>, Tensor, Tensor> run) : IDisposable
{
    private readonly List<Tensor> _owned = [tokens.DetachFromDisposeScope(), .. needs.Select(n => n.DetachFromDisposeScope())];
    private readonly Stack<Tensor> _inputs = [];
    private Tensor? _last;

    /// <summary>What comes out of the last block, [B, T, C]: its gradient is where <see cref="Backward"/> begins. Owned by this object.</summary>
    public Tensor Run()
    {
        using var noGrad = no_grad();
        _inputs.Push(tokens.detach().DetachFromDisposeScope());
        foreach (var block in blocks)
        {
            _inputs.Push(run(block, _inputs.Peek()).DetachFromDisposeScope());
        }

        return _last = _inputs.Pop().requires_grad_(true);
    }

    /// <summary>Goes on from the gradient of what <see cref="Run"/> returned, down to the tokens.</summary>
    public void Backward()
    {
        var gradient = _last!.grad!.DetachFromDisposeScope();
        for (var i = blocks.Count - 1; i >= 0; i--)
        {
            using var scope = NewDisposeScope();
            using var input = _inputs.Pop().requires_grad_(true);
            run(blocks[i], input).backward([gradient]);
            gradient.Dispose();
            gradient = input.grad!.DetachFromDisposeScope();
        }

        tokens.backward([gradient]);
        gradient.Dispose();
    }

    public void Dispose()
    {
        _last?.Dispose();
        foreach (var tensor in _inputs.Concat(_owned))
        {
            tensor.Dispose();
        }
    }
}
