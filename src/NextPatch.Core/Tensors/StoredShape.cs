namespace NextPatch.Core.Tensors;

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
                throw new DataFormatException(
                    $"'{name}' declares the shape {HostTensor.Describe(shape)} with a negative extent; the file is damaged.");
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
            : throw new DataFormatException(
                $"'{name}' declares the shape {HostTensor.Describe(shape)} ({bytes} bytes); tensors beyond {Array.MaxLength} bytes cannot be read "
                + $"into memory.");
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

    /// <summary>Elements between neighbours along each axis in Fortran order, where the first axis varies fastest.</summary>
    public static long[] FortranStrides(IReadOnlyList<long> shape)
    {
        var strides = new long[shape.Count];
        var stride = 1L;
        for (var axis = 0; axis < strides.Length; axis++)
        {
            strides[axis] = stride;
            stride *= shape[axis];
        }

        return strides;
    }
}
