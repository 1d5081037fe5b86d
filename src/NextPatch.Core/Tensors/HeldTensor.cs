namespace NextPatch.Core.Tensors;

/// <summary>A tensor of a mapped file that may have been closed.</summary>
/// <param name="bytes">Its elements; stay the caller's.</param>
/// <param name="type">Their type.</param>
/// <param name="shape">Extents, outermost first.</param>
internal sealed unsafe class HeldTensor(HeldBytes bytes, ElementType type, IReadOnlyList<long> shape) : StoredTensor(type, shape)
{
    public override void CopyTo(long offset, Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, ByteCount - destination.Length);
        new ReadOnlySpan<byte>(bytes.Start + offset, destination.Length).CopyTo(destination);
    }
}
