using static TorchSharp.torch;

namespace NextPatch.Torch.Gpt.Fused;

/// <summary>
/// Memory of a matrix [rows, columns] that both libtorch and the kernels use; it grows to the largest number of rows asked for and stays.
/// </summary>
/// <remarks>Fresh memory of this size costs more than what is computed in it: the system clears every page (docs/log.md).</remarks>
internal sealed unsafe class Activation : IDisposable
{
    private readonly long _columns;
    private readonly ScalarType _type;
    private Tensor? _whole;
    private Tensor? _view;

    public Activation(long columns, ScalarType type) => (_columns, _type) = (columns, type);

    /// <summary>The rows of this step, [rows, columns].</summary>
    public Tensor Tensor => _view!;

    public long BytesPerRow => _columns * (_type == ScalarType.Float32 ? sizeof(float) : sizeof(ushort));

    /// <summary>Address of the first element.</summary>
    public void* Address { get; private set; }

    /// <summary>Makes room; what was inside is lost.</summary>
    public void Resize(long rows)
    {
        if (_view is not null && _view.size(0) == rows)
        {
            return;
        }

        _view?.Dispose();
        if (_whole is null || _whole.size(0) < rows)
        {
            _whole?.Dispose();
            _whole = empty(rows, _columns, _type).DetachFromDisposeScope();
            Address = TensorMemory.AddressOf(_whole);
        }

        _view = _whole.narrow(0, 0, rows).DetachFromDisposeScope();
    }

    /// <summary>Makes room for at least so many rows.</summary>
    public void AtLeast(long rows)
    {
        if (_view is null || _view.size(0) < rows)
        {
            Resize(rows);
        }
    }

    public void Dispose()
    {
        _view?.Dispose();
        _whole?.Dispose();
    }
}

/// <summary>Activations of the same rows.</summary>
internal abstract class ActivationSet : IDisposable
{
    public long BytesPerRow => OfRows.Sum(a => a.BytesPerRow);

    protected abstract IReadOnlyList<Activation> OfRows { get; }

    public void Resize(int rows)
    {
        foreach (var activation in OfRows)
        {
            activation.Resize(rows);
        }
    }

    public virtual void Dispose()
    {
        foreach (var activation in OfRows)
        {
            activation.Dispose();
        }
    }
}
