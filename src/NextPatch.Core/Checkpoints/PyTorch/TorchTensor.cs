using NextPatch.Core.Tensors;

namespace NextPatch.Core.Checkpoints.PyTorch;

/// <summary>A tensor as a PyTorch pickle describes it: a view of a storage, known to lie inside, not read yet.</summary>
/// <param name="Storage">What it is a view of.</param>
/// <param name="Type">Element type.</param>
/// <param name="Offset">Its first element, counted from the storage's start.</param>
/// <param name="Shape">Extents, outermost first.</param>
/// <param name="Strides">Elements between neighbours along each axis.</param>
internal sealed record TorchTensor(TorchStorage Storage, ElementType Type, long Offset, long[] Shape, long[] Strides)
{
    /// <summary>Bytes from the beginning of the whole storage to the first element.</summary>
    public long ByteOffset => (Storage.Start * Storage.Type.Size()) + (Offset * Type.Size());
}

/// <summary>The flat memory that tensors of a PyTorch checkpoint are views of: named here, read when a tensor needs it.</summary>
/// <param name="Type">Element type; UInt8 where the file names only bytes.</param>
/// <param name="Key">Its name in the file.</param>
/// <param name="Start">First element: the old format names parts of storages.</param>
/// <param name="Count">Number of elements.</param>
internal sealed record TorchStorage(ElementType Type, string Key, long Start, long Count);
