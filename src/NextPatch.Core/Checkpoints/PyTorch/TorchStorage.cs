using NextPatch.Core.Tensors;

namespace NextPatch.Core.Checkpoints.PyTorch;

/// <summary>The flat memory that tensors of a PyTorch checkpoint are views of: named here, read when a tensor needs it.</summary>
/// <param name="Type">Element type; UInt8 where the file names only bytes.</param>
/// <param name="Key">Its name in the file.</param>
/// <param name="Start">First element: the old format names parts of storages.</param>
/// <param name="Count">Number of elements.</param>
internal sealed record TorchStorage(ElementType Type, string Key, long Start, long Count);
