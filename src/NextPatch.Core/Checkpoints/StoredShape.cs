using System.Runtime.InteropServices;

namespace NextPatch.Core.Checkpoints;

/// <summary>Arithmetic on shapes and strides that come from files and may be hostile.</summary>
internal static class StoredShape
{
    /// <summary>NumPy and PyTorch both stop at 64 axes.</summary>
    public const int MaxRank = 64;

    /// <summary>Bytes of a C-contiguous tensor.</summary>
    /// <exception cref="DataFormatException">A negative extent, too many axes, or a product beyond 64 bits.</exception>
    public static long ByteCount(string name, ElementType type, IReadOnlyList<long> shape)
    {
        if (shape.Count > MaxRank)
        {
            throw new DataFormatException($"'{name}' declares {shape.Count} dimensions; at most {MaxRank} are possible.");
        }

        foreach (var extent in shape)
        {
            if (extent < 0)
            {
                throw new DataFormatException($"'{name}' declares the shape {HostTensor.Describe(shape)} with a negative extent; the file is damaged.");
            }
        }

        try
        {
            return checked(HostTensor.CountElements(shape) * type.Size());
        }
        catch (OverflowException e)
        {
            throw new DataFormatException($"'{name}' declares the impossible shape {HostTensor.Describe(shape)}; the file is damaged.", e);
        }
    }

    /// <summary>As <see cref="ByteCount"/>, for a tensor that is to be held in one managed array.</summary>
    public static int ByteCountInMemory(string name, ElementType type, IReadOnlyList<long> shape)
    {
        var bytes = ByteCount(name, type, shape);
        return bytes <= Array.MaxLength
            ? (int)bytes
            : throw new DataFormatException($"'{name}' declares the shape {HostTensor.Describe(shape)} ({bytes} bytes); tensors beyond {Array.MaxLength} bytes cannot be read into memory.");
    }

    /// <summary>Whether elements lie in C order without gaps; axes of extent 1 may have any stride.</summary>
    public static bool IsContiguous(IReadOnlyList<long> shape, IReadOnlyList<long> strides)
    {
        var expected = 1L;
        for (var axis = shape.Count - 1; axis >= 0; axis--)
        {
            if (shape[axis] != 1 && strides[axis] != expected)
            {
                return false;
            }

            expected *= shape[axis];
        }

        return true;
    }

    /// <summary>Elements between neighbours along each axis in C order; empty tensors have those of extent 1, as in PyTorch.</summary>
    public static long[] ContiguousStrides(IReadOnlyList<long> shape)
    {
        var strides = new long[shape.Count];
        var stride = 1L;
        for (var axis = shape.Count - 1; axis >= 0; axis--)
        {
            strides[axis] = stride;
            stride *= Math.Max(shape[axis], 1);
        }

        return strides;
    }

    /// <summary>Copies a strided view into C order.</summary>
    /// <param name="source">Elements; every index the view reaches must lie inside.</param>
    /// <param name="elementSize">Bytes per element: 1, 2, 4 or 8.</param>
    /// <param name="shape">Extents, outermost first.</param>
    /// <param name="strides">Elements between neighbours along each axis.</param>
    public static byte[] ToContiguous(ReadOnlySpan<byte> source, int elementSize, IReadOnlyList<long> shape, IReadOnlyList<long> strides)
    {
        var target = new byte[HostTensor.CountElements(shape) * elementSize];
        switch (elementSize)
        {
            case 1: Copy(source, target.AsSpan(), shape, strides); break;
            case 2: Copy(MemoryMarshal.Cast<byte, ushort>(source), MemoryMarshal.Cast<byte, ushort>(target.AsSpan()), shape, strides); break;
            case 4: Copy(MemoryMarshal.Cast<byte, uint>(source), MemoryMarshal.Cast<byte, uint>(target.AsSpan()), shape, strides); break;
            default: Copy(MemoryMarshal.Cast<byte, ulong>(source), MemoryMarshal.Cast<byte, ulong>(target.AsSpan()), shape, strides); break;
        }

        return target;
    }

    private static void Copy<T>(ReadOnlySpan<T> source, Span<T> target, IReadOnlyList<long> shape, IReadOnlyList<long> strides)
    {
        var index = new long[shape.Count];
        var from = 0L;
        for (var i = 0; i < target.Length; i++)
        {
            target[i] = source[(int)from];

            // Odometer: step the innermost axis and carry outwards.
            for (var axis = index.Length - 1; axis >= 0; axis--)
            {
                from += strides[axis];
                if (++index[axis] < shape[axis])
                {
                    break;
                }

                from -= strides[axis] * shape[axis];
                index[axis] = 0;
            }
        }
    }
}
