using NextPatch.Kernels.Elementwise;
using static TorchSharp.torch;

namespace NextPatch.Torch.Gpt.Fused;

// Shape letters: B images, K condition rows, C width.

/// <summary>The embedded captions of a pass and their gradients: libtorch's products and automatic gradients, in float.</summary>
internal sealed unsafe class CaptionRows : IDisposable
{
    private readonly Tensor _rows;      // [B, K, C], with the graph that leads to the projections
    private readonly Tensor _memory;    // the same memory without it
    private readonly Tensor? _gradient; // [B, K, C]

    public CaptionRows(GptModel model, CaptionBatch captions, bool withGradients)
    {
        using var scope = NewDisposeScope();
        using var mode = withGradients ? enable_grad() : no_grad();
        var (features, _) = captions.ToTensors(model);
        _rows = model.ConditionRows(features).DetachFromDisposeScope();
        _memory = _rows.detach().DetachFromDisposeScope();
        Count = (int)_rows.size(1);
        Rows = ConditionRows.Captions((float*)TensorMemory.AddressOf(_memory), Count);
        Firsts = Array.TrueForAll(captions.Lengths, length => length == Count) ? null : Array.ConvertAll(captions.Lengths, length => Count - length);
        if (withGradients)
        {
            _gradient = zeros_like(_memory).DetachFromDisposeScope();
            Gradients = ConditionRows.Captions((float*)TensorMemory.AddressOf(_gradient), Count);
        }
    }

    /// <summary>K.</summary>
    public int Count { get; }

    public ConditionRows Rows { get; }

    /// <summary>Zero at first, for kernels to add to.</summary>
    public ConditionRows? Gradients { get; }

    /// <summary>Rows before each caption, [B]; null where there are none.</summary>
    public int[]? Firsts { get; }

    /// <summary>Adds the gradients of the rows to those of the projections.</summary>
    public void Backward()
    {
        using var mode = enable_grad();
        _rows.backward([_gradient!]);
    }

    public void Dispose()
    {
        _rows.Dispose();
        _memory.Dispose();
        _gradient?.Dispose();
    }
}
