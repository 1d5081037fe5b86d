namespace NextPatch.Core.Checkpoints;

/// <summary>A tensor as a PyTorch pickle describes it: a view of a storage, known to lie inside, not read yet.</summary>
/// <param name="Storage">What it is a view of.</param>
/// <param name="Offset">Its first element, counted from the storage's start.</param>
/// <param name="Shape">Extents, outermost first.</param>
/// <param name="Strides">Elements between neighbours along each axis.</param>
internal sealed record TorchTensor(TorchStorage Storage, long Offset, long[] Shape, long[] Strides)
{
    /// <summary>Whether the view's elements lie in C order, so that it can be read without a copy.</summary>
    public bool IsContiguous => StoredShape.IsContiguous(Shape, Strides);

    /// <param name="content">The storage, all of it.</param>
    public HostTensor ToHost(ReadOnlyMemory<byte> content)
    {
        var size = Storage.Type.Size();
        var bytes = (int)(HostTensor.CountElements(Shape) * size);
        if (bytes == 0)
        {
            return new HostTensor(Storage.Type, Shape, default);
        }

        var reachable = content[(int)(Offset * size)..];
        return new HostTensor(Storage.Type, Shape, IsContiguous ? reachable[..bytes] : StoredShape.ToContiguous(reachable.Span, size, Shape, Strides));
    }
}
