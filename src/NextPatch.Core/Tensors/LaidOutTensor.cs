using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace NextPatch.Core.Tensors;

/// <summary>Elements in a mapped file or in memory: end to end, or at strides; big-endian ones are turned as they are copied.</summary>
internal sealed class LaidOutTensor : StoredTensor
{
    private readonly SpanSource _source;
    private readonly MappedFile? _file;
    private readonly Lazy<long> _offset;
    private readonly long[]? _strides;
    private readonly bool _isBigEndian;
    private readonly IReadCheck? _check;

    /// <param name="source">The caller has checked that every element lies inside.</param>
    /// <param name="offset">Bytes from the start of the source to the first element; asked for when elements are, because finding it may touch the
    /// file.</param>
    /// <param name="type">Element type.</param>
    /// <param name="shape">Extents, outermost first.</param>
    /// <param name="strides">Elements between neighbours along each axis; null = C order.</param>
    /// <param name="isBigEndian">Elements are stored most significant byte first.</param>
    /// <param name="check">Throws where the elements are damaged, which fill its member.</param>
    public LaidOutTensor(
        SpanSource source, Lazy<long> offset, ElementType type, IReadOnlyList<long> shape, long[]? strides = null, bool isBigEndian = false,
        IReadCheck? check = null)
        : base(type, shape)
    {
        _source = source;
        _offset = offset;
        _strides = strides is not null && !StoredShape.IsContiguous(shape, strides) ? strides : null;
        _isBigEndian = isBigEndian && type.Size() > 1;
        _check = check;
    }

    /// <inheritdoc cref="LaidOutTensor(SpanSource, Lazy{long}, ElementType, IReadOnlyList{long}, long[], bool, IReadCheck)"/>
    public LaidOutTensor(
        MappedFile file, Lazy<long> offset, ElementType type, IReadOnlyList<long> shape, long[]? strides = null, bool isBigEndian = false,
        IReadCheck? check = null)
        : this(file.Span, offset, type, shape, strides, isBigEndian, check) => _file = file;

    /// <summary>Gives out bytes that lie end to end.</summary>
    public delegate ReadOnlySpan<byte> SpanSource(long offset, int length);

    public override bool TryGetSpan(long offset, int length, out ReadOnlySpan<byte> part)
    {
        part = default;
        if (_strides is not null || _isBigEndian)
        {
            return false;
        }

        _check?.Whole();
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, ByteCount - length);
        part = length == 0 ? default : _source(_offset.Value + offset, length);
        return true;
    }

    internal override HeldBytes? Hold()
    {
        if (_file is null || _strides is not null || _isBigEndian || ByteCount == 0)
        {
            return null;
        }

        _check?.Whole();
        return _file.Hold(_offset.Value, ByteCount);
    }

    public override void CopyTo(long offset, Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, ByteCount - destination.Length);
        if (destination.IsEmpty)
        {
            return;
        }

        if (_strides is null && _file is not null)
        {
            _check?.Before(offset);
            _file.Read(_offset.Value + offset, destination);
            _check?.After(offset, destination);
        }
        else if (_strides is null)
        {
            _source(_offset.Value + offset, destination.Length).CopyTo(destination);
        }
        else
        {
            _check?.Whole();
            Gather(offset / Type.Size(), destination, _strides);
        }

        if (_isBigEndian)
        {
            Reverse(destination);
        }
    }

    private void Gather(long first, Span<byte> destination, long[] strides)
    {
        // Where the first element of the part lies.
        var index = new long[Shape.Count];
        var from = 0L;
        for (var axis = index.Length - 1; axis >= 0; axis--)
        {
            (first, index[axis]) = Math.DivRem(first, Shape[axis]);
            from += index[axis] * strides[axis];
        }

        var size = Type.Size();
        var byteStrides = Array.ConvertAll(strides, s => s * size);
        from = _offset.Value + (from * size);
        for (var at = 0; at < destination.Length; at += size)
        {
            _source(from, size).CopyTo(destination[at..]);

            // Odometer: step the innermost axis and carry outwards.
            for (var axis = index.Length - 1; axis >= 0; axis--)
            {
                from += byteStrides[axis];
                if (++index[axis] < Shape[axis])
                {
                    break;
                }

                from -= byteStrides[axis] * Shape[axis];
                index[axis] = 0;
            }
        }
    }

    private void Reverse(Span<byte> bytes)
    {
        // A complex number is two numbers.
        switch (Type is ElementType.Complex64 or ElementType.Complex128 ? Type.Size() / 2 : Type.Size())
        {
            case 2: BinaryPrimitives.ReverseEndianness(MemoryMarshal.Cast<byte, ushort>(bytes), MemoryMarshal.Cast<byte, ushort>(bytes)); break;
            case 4: BinaryPrimitives.ReverseEndianness(MemoryMarshal.Cast<byte, uint>(bytes), MemoryMarshal.Cast<byte, uint>(bytes)); break;
            default: BinaryPrimitives.ReverseEndianness(MemoryMarshal.Cast<byte, ulong>(bytes), MemoryMarshal.Cast<byte, ulong>(bytes)); break;
        }
    }
}

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
