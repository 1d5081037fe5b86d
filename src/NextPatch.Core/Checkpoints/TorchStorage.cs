namespace NextPatch.Core.Checkpoints;

/// <summary>The flat memory that tensors of a PyTorch checkpoint are views of.</summary>
/// <param name="Type">Element type.</param>
/// <param name="Bytes">Little-endian elements.</param>
internal sealed record TorchStorage(ElementType Type, ReadOnlyMemory<byte> Bytes);
