using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace NextPatch.Core.Checkpoints;

/// <summary>NumPy array files (.npy), versions 1 to 3, of plain numbers.</summary>
/// <remarks>Source: numpy.lib.format. Fortran-ordered and big-endian arrays come out in C order, little-endian.</remarks>
public static class NpyFile
{
    /// <exception cref="DataFormatException">The file is damaged or holds something other than plain numbers.</exception>
    public static HostTensor Read(string path)
    {
        using var stream = StoredFile.OpenRead(path);
        var tensor = Read(stream, path);
        return stream.Position == stream.Length
            ? tensor
            : throw new DataFormatException($"'{path}' has {stream.Length - stream.Position} bytes after its array of shape {HostTensor.Describe(tensor.Shape)}; the header is damaged.");
    }

    /// <summary>Reads one array and leaves the stream behind its last byte.</summary>
    /// <param name="stream">Positioned at the magic bytes; need not be seekable.</param>
    /// <param name="name">What messages call it.</param>
    /// <exception cref="DataFormatException">The data are damaged or hold something other than plain numbers.</exception>
    public static HostTensor Read(Stream stream, string name)
    {
        var header = ReadHeader(stream, name);
        var count = StoredShape.ByteCountInMemory(name, header.Type, header.Shape);
        return Decode(StoredFile.ReadBytes(stream, count, name, $"an array of shape {HostTensor.Describe(header.Shape)}"), header);
    }

    /// <summary>Reads the header alone and leaves the stream at the first element, for callers that map the data themselves.</summary>
    /// <exception cref="DataFormatException">The header is damaged or describes something other than plain numbers.</exception>
    public static NpyHeader ReadHeader(Stream stream, string name) => NpyHeaderFormat.Read(stream, name);

    /// <summary>Writes the bytes that numpy.save writes.</summary>
    /// <exception cref="NextPatchException">NumPy lacks the element type (bfloat16), or the file cannot be written.</exception>
    public static void Write(string path, HostTensor tensor)
    {
        using var stream = StoredFile.Create(path);
        Write(stream, tensor);
    }

    /// <inheritdoc cref="Write(string, HostTensor)"/>
    public static void Write(Stream stream, HostTensor tensor)
    {
        WriteHeader(stream, tensor.Type, tensor.Shape);
        stream.Write(tensor.Bytes.Span);
    }

    /// <summary>Writes the header alone; C-ordered little-endian elements must follow.</summary>
    /// <exception cref="NextPatchException">NumPy lacks the element type (bfloat16).</exception>
    public static void WriteHeader(Stream stream, ElementType type, IReadOnlyList<long> shape) => stream.Write(NpyHeaderFormat.Write(type, shape));

    /// <summary>Turns the stored elements into C order and little-endian, in place where that is possible.</summary>
    internal static HostTensor Decode(Memory<byte> bytes, NpyHeader header)
    {
        var size = header.Type.Size();
        if (header.BigEndian)
        {
            ReverseElements(bytes.Span, size);
        }

        if (header.FortranOrder && bytes.Length > 0)
        {
            var strides = new long[header.Shape.Count];
            var stride = 1L;
            for (var axis = 0; axis < strides.Length; axis++)
            {
                strides[axis] = stride;
                stride *= header.Shape[axis];
            }

            bytes = StoredShape.ToContiguous(bytes.Span, size, header.Shape, strides);
        }

        return new HostTensor(header.Type, header.Shape, bytes);
    }

    private static void ReverseElements(Span<byte> bytes, int size)
    {
        switch (size)
        {
            case 2: BinaryPrimitives.ReverseEndianness(MemoryMarshal.Cast<byte, ushort>(bytes), MemoryMarshal.Cast<byte, ushort>(bytes)); break;
            case 4: BinaryPrimitives.ReverseEndianness(MemoryMarshal.Cast<byte, uint>(bytes), MemoryMarshal.Cast<byte, uint>(bytes)); break;
            case 8: BinaryPrimitives.ReverseEndianness(MemoryMarshal.Cast<byte, ulong>(bytes), MemoryMarshal.Cast<byte, ulong>(bytes)); break;
            default: break;
        }
    }
}
