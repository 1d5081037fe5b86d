using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace NextPatch.Core.Tensors;

/// <summary>A tensor in managed memory as files hold it: element type, shape, and C-contiguous little-endian bytes.</summary>
public sealed class HostTensor
{
    /// <param name="type">Element type.</param>
    /// <param name="shape">Extents, outermost first; empty for a scalar.</param>
    /// <param name="bytes">C-contiguous little-endian elements, not copied.</param>
    /// <exception cref="ArgumentException">The byte count does not fit the shape.</exception>
    public HostTensor(ElementType type, IReadOnlyList<long> shape, ReadOnlyMemory<byte> bytes)
    {
        var count = CountElements(shape);
        if (bytes.Length != count * type.Size())
        {
            throw new ArgumentException(
                $"A {type} tensor of shape {Describe(shape)} needs {count * type.Size()} bytes but got {bytes.Length}.", nameof(bytes));
        }

        Type = type;
        Shape = shape;
        Bytes = bytes;
        Count = checked((int)count);
    }

    /// <summary>The type of its elements.</summary>
    public ElementType Type { get; }

    /// <summary>Extents, outermost first.</summary>
    public IReadOnlyList<long> Shape { get; }

    /// <summary>C-contiguous little-endian elements.</summary>
    public ReadOnlyMemory<byte> Bytes { get; }

    /// <summary>Number of elements.</summary>
    public int Count { get; }

    /// <summary>Number of elements of a shape; 1 for a scalar.</summary>
    /// <exception cref="OverflowException">The product does not fit 64 bits.</exception>
    public static long CountElements(IReadOnlyList<long> shape)
    {
        var count = 1L;
        foreach (var extent in shape)
        {
            count = checked(count * extent);
        }

        return count;
    }

    /// <summary>"[2, 3]", as every message writes shapes.</summary>
    public static string Describe(IEnumerable<long> shape) => $"[{string.Join(", ", shape)}]";

    /// <summary>Copies values of an unmanaged type whose layout is that of <paramref name="type"/>.</summary>
    public static HostTensor From<T>(ElementType type, IReadOnlyList<long> shape, ReadOnlySpan<T> values)
        where T : unmanaged
        => new(type, shape, MemoryMarshal.AsBytes(values).ToArray());

    /// <summary>A float32 tensor with a copy of these values, in row-major order.</summary>
    public static HostTensor FromSingles(IReadOnlyList<long> shape, ReadOnlySpan<float> values) => From(ElementType.Float32, shape, values);

    /// <summary>The elements seen as <typeparamref name="T"/>, without a copy.</summary>
    /// <exception cref="InvalidOperationException"><typeparamref name="T"/> has another size than the element type.</exception>
    public ReadOnlySpan<T> AsSpan<T>()
        where T : unmanaged
        => Marshal.SizeOf<T>() == Type.Size() || (typeof(T) == typeof(bool) && Type == ElementType.Bool)
            ? MemoryMarshal.Cast<byte, T>(Bytes.Span)
            : throw new InvalidOperationException($"A {Type} tensor cannot be read as {typeof(T).Name}.");

    /// <summary>Widens or rounds every element to float.</summary>
    public float[] ToSingles()
    {
        if (Type == ElementType.Float32)
        {
            return AsSpan<float>().ToArray();
        }

        var values = ToDoubles();
        return Array.ConvertAll(values, v => (float)v);
    }

    /// <summary>Converts every element to double; exact for all types but 64-bit integers beyond 2^53.</summary>
    public double[] ToDoubles()
    {
        var result = new double[Count];
        for (var i = 0; i < result.Length; i++)
        {
            result[i] = Element(i);
        }

        return result;
    }

    /// <summary>Converts integer elements to long.</summary>
    /// <exception cref="InvalidOperationException">The tensor holds floating-point elements.</exception>
    public long[] ToInt64()
    {
        if (Type.IsFloating())
        {
            throw new InvalidOperationException($"A {Type} tensor cannot be read as integers.");
        }

        if (Type == ElementType.Int64)
        {
            return AsSpan<long>().ToArray();
        }

        var result = new long[Count];
        for (var i = 0; i < result.Length; i++)
        {
            result[i] = (long)Element(i);
        }

        return result;
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Type} {Describe(Shape)}";

    private double Element(int index)
    {
        var at = Bytes.Span[(index * Type.Size())..];
        return Type switch
        {
            ElementType.Bool or ElementType.UInt8 => at[0],
            ElementType.Int8 => (sbyte)at[0],
            ElementType.Int16 => BinaryPrimitives.ReadInt16LittleEndian(at),
            ElementType.UInt16 => BinaryPrimitives.ReadUInt16LittleEndian(at),
            ElementType.Int32 => BinaryPrimitives.ReadInt32LittleEndian(at),
            ElementType.UInt32 => BinaryPrimitives.ReadUInt32LittleEndian(at),
            ElementType.Int64 => BinaryPrimitives.ReadInt64LittleEndian(at),
            ElementType.UInt64 => BinaryPrimitives.ReadUInt64LittleEndian(at),
            ElementType.Float16 => (double)BinaryPrimitives.ReadHalfLittleEndian(at),
            ElementType.BFloat16 => BFloat16.ToSingle(BinaryPrimitives.ReadUInt16LittleEndian(at)),
            ElementType.Float32 => BinaryPrimitives.ReadSingleLittleEndian(at),
            ElementType.Float64 => BinaryPrimitives.ReadDoubleLittleEndian(at),
            ElementType.Float8E4M3 => Float8.FromE4M3(at[0]),
            ElementType.Float8E5M2 => Float8.FromE5M2(at[0]),
            _ => throw new InvalidOperationException($"A {Type} tensor cannot be read as real numbers."),
        };
    }
}
