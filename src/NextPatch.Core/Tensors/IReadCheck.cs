namespace NextPatch.Core.Tensors;

/// <summary>Compares what is read of a tensor with a checksum that its file holds.</summary>
internal interface IReadCheck
{
    /// <summary>Checks all of it now.</summary>
    /// <exception cref="DataFormatException">Damaged.</exception>
    void Whole();

    /// <summary>Before a part of the elements, from byte <paramref name="offset"/> on, is read.</summary>
    /// <exception cref="DataFormatException">Damaged.</exception>
    void Before(long offset);

    /// <summary>After a part of the elements, as they are stored, was read.</summary>
    /// <exception cref="DataFormatException">Damaged.</exception>
    void After(long offset, ReadOnlySpan<byte> part);
}
