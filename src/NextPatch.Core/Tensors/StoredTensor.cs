using System.Buffers;
using System.Runtime.InteropServices;

namespace NextPatch.Core.Tensors;

/// <summary>A tensor of an open file, not read yet. Valid as long as its file is open; tensors of any size.</summary>
public abstract class StoredTensor
{
    // Two of them stay in the cache; fewer would cost more in handing them from thread to thread. A multiple of every element size.
    private const int PartBytes = 1 << 20;

    /// <summary>A tensor of this type and shape, whose bytes the derived class reads.</summary>
    protected StoredTensor(ElementType type, IReadOnlyList<long> shape)
    {
        Type = type;
        Shape = shape;
        ByteCount = HostTensor.CountElements(shape) * type.Size();
    }

    /// <summary>The type of its elements.</summary>
    public ElementType Type { get; }

    /// <summary>Extents, outermost first; empty for a scalar.</summary>
    public IReadOnlyList<long> Shape { get; }

    /// <summary>Bytes of its C-contiguous elements.</summary>
    public long ByteCount { get; }

    /// <summary>Number of elements.</summary>
    public long Count => ByteCount / Type.Size();

    /// <summary>Computes consecutive elements of a tensor.</summary>
    /// <param name="first">Index of the first of them in C order.</param>
    /// <param name="values">Receives them.</param>
    public delegate void ElementFill(long first, Span<float> values);

    internal delegate void PartAction(ReadOnlySpan<byte> part);

    /// <summary>A tensor in memory, seen the same way.</summary>
    public static StoredTensor From(HostTensor tensor)
        => new LaidOutTensor((offset, length) => tensor.Bytes.Span.Slice((int)offset, length), new Lazy<long>(0L), tensor.Type, tensor.Shape);

    /// <summary>A float32 tensor that lies nowhere: its elements are computed each time they are read.</summary>
    /// <param name="shape">Extents, outermost first.</param>
    /// <param name="fill">Must give an element the same value whichever part it is asked for in.</param>
    public static StoredTensor Generate(IReadOnlyList<long> shape, ElementFill fill) => new GeneratedTensor(shape, fill);

    /// <summary>Copies a part of the C-contiguous little-endian elements.</summary>
    /// <param name="offset">First byte of the part; a multiple of the element size.</param>
    /// <param name="destination">Receives the part; a multiple of the element size long.</param>
    /// <exception cref="DataFormatException">The elements are damaged.</exception>
    public abstract void CopyTo(long offset, Span<byte> destination);

    /// <summary>The elements where they lie, without a copy, if the file holds them C-contiguous and little-endian.</summary>
    /// <param name="offset">First byte of the part.</param>
    /// <param name="length">Bytes of the part.</param>
    /// <param name="part">Empty where the answer is false; must not outlive the file.</param>
    /// <exception cref="DataFormatException">The elements are damaged.</exception>
    public virtual bool TryGetSpan(long offset, int length, out ReadOnlySpan<byte> part)
    {
        part = default;
        return false;
    }

    /// <summary>The elements where they lie in a mapped file, C-contiguous and little-endian; null where they do not lie so.</summary>
    internal virtual HeldBytes? Hold() => null;

    /// <summary>Reads the whole tensor.</summary>
    /// <exception cref="DataFormatException">Damaged, or larger than 2 GiB.</exception>
    public HostTensor Read()
    {
        var bytes = new byte[StoredShape.ByteCountInMemory($"{this}", Type, Shape)];
        CopyTo(0, bytes);
        return new HostTensor(Type, Shape, bytes);
    }

    /// <summary>The same values rounded to another floating-point type, computed as they are copied.</summary>
    /// <param name="type">Float32, Float16 or BFloat16. Tensors of integers, bools and complex numbers stay what they are.</param>
    public StoredTensor As(ElementType type) => type == Type || !Type.IsFloating() ? this : new ConvertedTensor(this, type);

    /// <summary>The same tensor, which says how far it was read.</summary>
    /// <param name="onRead">Receives the number of bytes of every part that is given out; what it throws ends the reading.</param>
    public StoredTensor Watched(Action<long> onRead) => new WatchedTensor(this, onRead);

    /// <summary>Gives out the C-contiguous little-endian elements part by part. While one is taken, another thread reads the next.</summary>
    /// <exception cref="DataFormatException">The elements are damaged.</exception>
    internal void WriteTo(PartAction write)
    {
        // Not new ones for every tensor: clearing them costs as much as to fill them.
        var (current, other) = (ArrayPool<byte>.Shared.Rent(PartBytes), ArrayPool<byte>.Shared.Rent(PartBytes));
        int LengthAt(long at) => (int)Math.Min(PartBytes, ByteCount - at);
        CopyTo(0, current.AsSpan(0, LengthAt(0)));
        for (var at = 0L; at < ByteCount; at += PartBytes, (current, other) = (other, current))
        {
            var (next, buffer) = (at + PartBytes, other);
            var reading = next < ByteCount ? Task.Run(() => CopyTo(next, buffer.AsSpan(0, LengthAt(next)))) : Task.CompletedTask;
            try
            {
                write(current.AsSpan(0, LengthAt(at)));
            }
            finally
            {
                Task.WaitAny(reading); // nothing may be read any more when the caller closes the file
            }

            reading.GetAwaiter().GetResult();
        }

        ArrayPool<byte>.Shared.Return(current);
        ArrayPool<byte>.Shared.Return(other);
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Type} {HostTensor.Describe(Shape)}";
}

/// <summary>float32 elements that are computed each time they are read.</summary>
internal sealed class GeneratedTensor : StoredTensor
{
    private readonly ElementFill _fill;

    public GeneratedTensor(IReadOnlyList<long> shape, ElementFill fill)
        : base(ElementType.Float32, shape) => _fill = fill;

    public override void CopyTo(long offset, Span<byte> destination) => _fill(offset / sizeof(float), MemoryMarshal.Cast<byte, float>(destination));
}
