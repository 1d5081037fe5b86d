namespace NextPatch.Core.Tensors;

/// <summary>A tensor of a mapped file that may have been closed.</summary>
/// <param name="bytes">Its elements; stay the caller's.</param>
/// <param name="type">Their type.</param>
/// <param name="shape">Extents, outermost first.</param>
/// <param name="key">Its name, and</param>
/// <param name="file">the file's, for messages.</param>
internal sealed unsafe class HeldTensor(HeldBytes bytes, ElementType type, IReadOnlyList<long> shape, string key, string file)
    : StoredTensor(type, shape)
{
    /// <exception cref="DataFormatException">An element is infinite or no number.</exception>
    public override void CopyTo(long offset, Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, ByteCount - destination.Length);
        new ReadOnlySpan<byte>(bytes.Start + offset, destination.Length).CopyTo(destination);
        FiniteNumbers.Require(key, Type, destination, file, offset / Type.Size());
    }
}
