using System.Text;
using CsCheck;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Tests.Checkpoints.Numpy;

public sealed class NpyFileTests
{
    [Fact]
    public void What_is_written_is_read() => Stored.Tensors(Stored.NumPyTypes).Sample(tensor =>
    {
        using var stream = new MemoryStream();
        NpyFile.Write(stream, tensor);
        stream.Position = 0;
        Stored.AssertEqual(tensor, NpyFile.Read(stream, "a"));
    });

    [Fact]
    public void Header_is_byte_for_byte_that_of_numpy()
    {
        using var stream = new MemoryStream();
        NpyFile.Write(stream, HostTensor.FromSingles([2, 3], [1, 2, 3, 4, 5, 6]));
        var text = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
        byte[] expected = [0x93, .. "NUMPY\x01\0v\0"u8, .. Encoding.ASCII.GetBytes(text.PadRight(117)), (byte)'\n'];
        Assert.Equal(expected, stream.ToArray()[..128]);
        Assert.Equal(128 + 24, stream.Length);
    }

    [Theory]
    [InlineData("()", new long[0])]
    [InlineData("(7,)", new long[] { 7 })]
    [InlineData("(0, 4)", new long[] { 0, 4 })]
    public void Shapes_are_written_as_python_tuples(string expected, long[] shape)
        => Assert.Contains(
            $"'shape': {expected}, }}", Encoding.ASCII.GetString(NpyHeaderFormat.Write(ElementType.UInt8, shape)), StringComparison.Ordinal);

    [Fact]
    public void Fortran_order_is_turned_into_C_order()
    {
        var tensor = Read(
            Npy("{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3, 2), }",
            [0, 0, 6, 0, 2, 0, 8, 0, 4, 0, 10, 0, 1, 0, 7, 0, 3, 0, 9, 0, 5, 0, 11, 0]));
        Assert.Equal(Enumerable.Range(0, 12).Select(i => (long)i), tensor.ToInt64());
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Every_version_and_big_endian_are_read(int version)
    {
        var tensor = Read(Npy("{\"shape\": (2L,), \"fortran_order\": False, \"descr\": \">i4\"}", [0, 0, 1, 2, 255, 255, 255, 254], version));
        Assert.Equal([258L, -2L], tensor.ToInt64());
    }

    [Fact]
    public void Header_alone_leaves_the_stream_at_the_data()
    {
        using var stream = new MemoryStream();
        NpyFile.Write(stream, HostTensor.From<ushort>(ElementType.UInt16, [2, 2], [1, 2, 3, 4]));
        stream.Position = 0;
        var header = NpyFile.ReadHeader(stream, "codes");
        Assert.Equal(
            (ElementType.UInt16, false, false, 128, 8L), (header.Type, header.FortranOrder, header.BigEndian, header.DataOffset, header.ByteCount));
        Assert.Equal(header.DataOffset, stream.Position);
    }

    [Fact]
    public void Truncation_anywhere_is_refused()
        => Stored.AssertRefusedWhenTruncated(
            Npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", new byte[8]), path => NpyFile.Read(path));

    [Fact]
    public void One_damaged_byte_does_no_harm()
        => Stored.AssertSafeWhenDamaged(Npy("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", new byte[24]), path => NpyFile.Read(path));

    [Theory]
    [InlineData("{'descr': '<f8', 'fortran_order': False, 'shape': (1152921504606846976,), }", "1152921504606846976")]
    [InlineData("{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296), }", "impossible shape")]
    [InlineData("{'descr': '<f8', 'fortran_order': False, 'shape': (200000000,), }", "truncated")]
    [InlineData("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }", "negative")]
    [InlineData("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "'|O'")]
    [InlineData("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "structured")]
    [InlineData("{'descr': __import__('os').system('x'), 'fortran_order': False, 'shape': (1,), }", "quoted string")]
    [InlineData("{'descr': '<f4', 'shape': (1,), }", "'fortran_order'")]
    public void Hostile_headers_are_refused_without_allocation(string header, string named)
    {
        var seekable = Npy(header, new byte[16]);
        Assert.Contains(named, Stored.Refused(() => Read(seekable)).Message, StringComparison.Ordinal);
        using var unseekable = new System.IO.Compression.BrotliStream(Compressed(seekable), System.IO.Compression.CompressionMode.Decompress);
        Assert.Contains("evil.npy", Stored.Refused(() => NpyFile.Read(unseekable, "evil.npy")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Bfloat16_is_refused_with_advice()
        => Assert.Contains(
            "Float32", Assert.Throws<NextPatchException>(
            () => NpyFile.Write(Stream.Null, new HostTensor(ElementType.BFloat16, [1], new byte[2]))).Message, StringComparison.Ordinal);

    [Fact]
    public void Missing_file_is_named()
        => Assert.Contains("does not exist", Assert.Throws<NextPatchException>(() => NpyFile.Read("no-such.npy")).Message, StringComparison.Ordinal);

    internal static byte[] Npy(string header, byte[] data, int version = 1)
    {
        var text = Encoding.Latin1.GetBytes(header + "\n");
        byte[] length = version == 1 ? BitConverter.GetBytes((ushort)text.Length) : BitConverter.GetBytes(text.Length);
        return [0x93, .. "NUMPY"u8, (byte)version, 0, .. length, .. text, .. data];
    }

    private static HostTensor Read(byte[] file)
    {
        using var stream = new MemoryStream(file);
        return NpyFile.Read(stream, "evil.npy");
    }

    private static MemoryStream Compressed(byte[] data)
    {
        var target = new MemoryStream();
        using (var stream = new System.IO.Compression.BrotliStream(target, System.IO.Compression.CompressionLevel.Fastest, leaveOpen: true))
        {
            stream.Write(data);
        }

        target.Position = 0;
        return target;
    }
}
