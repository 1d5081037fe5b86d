using System.IO.MemoryMappedFiles;
using NextPatch.Core;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Files;
using NextPatch.Core.Tensors;

namespace NextPatch.Data.Codes;

/// <summary>A memory-mapped NumPy array of codes, uint16 or int32 [N, A, T].</summary>
internal sealed class MappedCodes : StoredCodes
{
    private readonly MemoryMappedFile _file;
    private readonly MemoryMappedViewAccessor _view;
    private readonly NpyHeader _header;

    private MappedCodes(string path, NpyHeader header)
    {
        Path = path;
        _header = header;
        _file = MemoryMappedFile.CreateFromFile(path, FileMode.Open, mapName: null, capacity: 0, MemoryMappedFileAccess.Read);
        _view = _file.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
    }

    public override string Path { get; }

    public override IReadOnlyList<long> Shape => _header.Shape;

    public static MappedCodes Open(string path)
    {
        var (header, length) = ReadHeader(path);
        if (header.Shape.Count != 3 || header.Shape.Any(e => e is < 1 or > int.MaxValue))
        {
            throw new DataFormatException(
                $"'{path}' has shape {HostTensor.Describe(header.Shape)}; expected [images, variants, codes per image], none of them zero.");
        }

        if (header.Type is not (ElementType.UInt16 or ElementType.Int32) || header.BigEndian || header.FortranOrder)
        {
            throw new DataFormatException(
                $"'{path}' holds {header.Type} elements; expected uint16 or int32, little-endian, in C order. "
                + "Convert it with NumPy's astype and ascontiguousarray.");
        }

        return length == header.DataOffset + header.ByteCount
            ? new MappedCodes(path, header)
            : throw new DataFormatException(
                $"'{path}' has {length} bytes but its shape {HostTensor.Describe(header.Shape)} needs {header.DataOffset + header.ByteCount}; it "
                    + $"is truncated or damaged.");
    }

    public override void Read(int image, int variant, Span<int> destination) => ReadRows(((long)image * Variants) + variant, destination);

    public override void ReadVariants(int image, Span<int> destination) => ReadRows((long)image * Variants, destination);

    public override void Dispose()
    {
        _view.Dispose();
        _file.Dispose();
    }

    private void ReadRows(long first, Span<int> destination)
    {
        var handle = _view.SafeMemoryMappedViewHandle;
        var offset = (ulong)(_header.DataOffset + (first * CodesPerImage * _header.Type.Size()));
        if (_header.Type == ElementType.Int32)
        {
            handle.ReadSpan(offset, destination);
            return;
        }

        Span<ushort> part = stackalloc ushort[Math.Min(destination.Length, 1024)];
        while (destination.Length > 0)
        {
            part = part[..Math.Min(part.Length, destination.Length)];
            handle.ReadSpan(offset, part);
            for (var i = 0; i < part.Length; i++)
            {
                destination[i] = part[i];
            }

            offset += (ulong)part.Length * sizeof(ushort);
            destination = destination[part.Length..];
        }
    }

    private static (NpyHeader Header, long Length) ReadHeader(string path)
    {
        try
        {
            using var stream = TextFile.Open(path);
            return (NpyFile.ReadHeader(stream, path), stream.Length);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new NextPatchException($"'{path}' cannot be read: {e.Message}", e);
        }
    }
}
