using NextPatch.Core.Checkpoints.Zip;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Checkpoints.Numpy;

/// <summary>NumPy array files (.npy), versions 1 to 3, of plain numbers.</summary>
/// <remarks>Source: numpy.lib.format. Fortran-ordered and big-endian arrays come out in C order, little-endian.</remarks>
public static class NpyFile
{
    /// <summary>Opens an array without reading it; it is called after the file, without ".npy".</summary>
    /// <exception cref="DataFormatException">The file is damaged or holds something other than plain numbers.</exception>
    public static TensorFile Open(string path)
    {
        var file = new MappedFile(path);
        try
        {
            var tensor = In(file, 0, file.Length, path);
            var name = Path.GetFileNameWithoutExtension(path);
            return new TensorFile(path, new Dictionary<string, StoredTensor> { [name] = tensor }, new Dictionary<string, string>(), [file]);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <exception cref="DataFormatException">The file is damaged or holds something other than plain numbers.</exception>
    public static HostTensor Read(string path)
    {
        using var file = Open(path);
        return file.Tensors.Values.Single().Read();
    }

    /// <summary>Reads one array and leaves the stream behind its last byte.</summary>
    /// <param name="stream">Positioned at the magic bytes; need not be seekable.</param>
    /// <param name="name">What messages call it.</param>
    /// <exception cref="DataFormatException">The data are damaged or hold something other than plain numbers.</exception>
    public static HostTensor Read(Stream stream, string name)
    {
        var header = ReadHeader(stream, name);
        var count = StoredShape.ByteCountInMemory(name, header.Type, header.Shape);
        return header.Decode(StoredFile.ReadBytes(stream, count, name, $"an array of shape {HostTensor.Describe(header.Shape)}"));
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

    /// <summary>The array that fills a part of a mapped file exactly.</summary>
    internal static StoredTensor In(MappedFile file, long offset, long length, string name, Func<NpyHeader, MemberCheck>? check = null)
    {
        using var stream = file.OpenStream(offset, length);
        var header = ReadHeader(stream, name);
        return header.DataOffset + header.ByteCount == length
            ? new LaidOutTensor(
                file, new Lazy<long>(offset + header.DataOffset), header.Type, header.Shape, header.Strides, header.BigEndian, check?.Invoke(header))
            : throw new DataFormatException(
                $"'{name}' is truncated or damaged: its shape {HostTensor.Describe(header.Shape)} needs {header.DataOffset + header.ByteCount} "
                + $"bytes but it has {length}.");
    }
}
