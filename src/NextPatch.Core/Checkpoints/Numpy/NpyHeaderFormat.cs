using System.Buffers.Binary;
using System.Text;
using NextPatch.Core.Files;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Checkpoints.Numpy;

/// <summary>The header of NumPy's format, versions 1 to 3: magic, version, length and a Python dictionary as text.</summary>
/// <remarks>Source: numpy.lib.format, "Format Version 1.0" to "3.0".</remarks>
internal static class NpyHeaderFormat
{
    private const int Alignment = 64;

    // Only structured types, which are refused, need more than version 1's 64 KiB.
    private const int MaxTextLength = 1 << 20;

    // numpy.save leaves room for the first extent to grow to this many digits.
    private const int GrowthDigits = 21;

    private static ReadOnlySpan<byte> Magic => [0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y'];

    public static NpyHeader Read(Stream stream, string name)
    {
        var start = StoredFile.ReadBytes(stream, 8, name, "the NumPy header");
        if (!start.AsSpan(0, 6).SequenceEqual(Magic))
        {
            throw new DataFormatException($"'{name}' is not a NumPy array: it does not start with the .npy magic bytes."
                + $"{(FileContents.Describe(FileContents.From(start)) is { } found ? $" By its first bytes it is {found}." : "")}");
        }

        var version = start[6];
        if (version is < 1 or > 3)
        {
            throw new DataFormatException($"'{name}' has .npy format version {version}.{start[7]}; versions 1 to 3 are understood.");
        }

        var lengthField = StoredFile.ReadBytes(stream, version == 1 ? 2 : 4, name, "the NumPy header");
        var length = version == 1 ? BinaryPrimitives.ReadUInt16LittleEndian(lengthField) : BinaryPrimitives.ReadUInt32LittleEndian(lengthField);
        if (length > MaxTextLength)
        {
            throw new DataFormatException($"'{name}' declares a .npy header of {length} bytes; at most {MaxTextLength} are plausible.");
        }

        var text = StoredFile.ReadBytes(stream, (int)length, name, "the NumPy header");
        var (type, bigEndian, fortran, shape) = new NpyHeaderParser(Encoding.Latin1.GetString(text), name).Parse();
        _ = StoredShape.ByteCount(name, type, shape);
        return new NpyHeader(type, shape, fortran, bigEndian, 8 + lengthField.Length + (int)length);
    }

    /// <summary>The bytes that numpy.save writes before little-endian C-ordered data.</summary>
    public static byte[] Write(ElementType type, IReadOnlyList<long> shape)
    {
        var extents = shape.Count == 1 ? $"({shape[0]},)" : $"({string.Join(", ", shape)})";
        var text = new StringBuilder($"{{'descr': '{Descriptor(type)}', 'fortran_order': False, 'shape': {extents}, }}");
        if (shape.Count > 0)
        {
            text.Append(' ', GrowthDigits - shape[0].ToString().Length);
        }

        var unpadded = Magic.Length + 4 + text.Length + 1;
        text.Append(' ', Alignment - (unpadded % Alignment)).Append('\n');
        var header = new byte[Magic.Length + 4 + text.Length];
        Magic.CopyTo(header);
        header[6] = 1;
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(8), checked((ushort)text.Length));
        Encoding.ASCII.GetBytes(text.ToString(), header.AsSpan(10));
        return header;
    }

    private static string Descriptor(ElementType type) => type switch
    {
        ElementType.Bool => "|b1",
        ElementType.UInt8 => "|u1",
        ElementType.Int8 => "|i1",
        ElementType.UInt16 => "<u2",
        ElementType.Int16 => "<i2",
        ElementType.UInt32 => "<u4",
        ElementType.Int32 => "<i4",
        ElementType.UInt64 => "<u8",
        ElementType.Int64 => "<i8",
        ElementType.Float16 => "<f2",
        ElementType.Float32 => "<f4",
        ElementType.Float64 => "<f8",
        ElementType.Complex64 => "<c8",
        ElementType.Complex128 => "<c16",
        _ => throw new NextPatchException($"NumPy has no element type for {type}; convert the tensor to Float32 before it is written as .npy."),
    };
}
