using NextPatch.Core.Tensors;

namespace NextPatch.Core.Checkpoints.Numpy;

/// <summary>What the header of a NumPy array file says.</summary>
/// <param name="Type">Element type.</param>
/// <param name="Shape">Extents, outermost first; empty for a scalar.</param>
/// <param name="FortranOrder">The first axis varies fastest in the file.</param>
/// <param name="BigEndian">Elements are stored most significant byte first.</param>
/// <param name="DataOffset">Bytes from the start of the array (its magic string) to the first element.</param>
public sealed record NpyHeader(ElementType Type, IReadOnlyList<long> Shape, bool FortranOrder, bool BigEndian, int DataOffset)
{
    /// <summary>Number of elements.</summary>
    public long Count => HostTensor.CountElements(Shape);

    /// <summary>Bytes of element data that follow the header.</summary>
    public long ByteCount => Count * Type.Size();

    /// <summary>Elements between neighbours along each axis; null for C order.</summary>
    internal long[]? Strides => FortranOrder && Count > 0 ? StoredShape.FortranStrides(Shape) : null;

    /// <summary>Turns stored elements into C order and little-endian.</summary>
    internal HostTensor Decode(ReadOnlyMemory<byte> bytes)
        => BigEndian || Strides is not null
            ? new LaidOutTensor((offset, length) => bytes.Span.Slice((int)offset, length), new Lazy<long>(0L), Type, Shape, Strides, BigEndian).Read()
            : new HostTensor(Type, Shape, bytes);
}
