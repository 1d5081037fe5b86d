using System.Buffers.Binary;
using System.IO.Compression;
using NextPatch.Core.Checkpoints.Zip;

namespace NextPatch.Core.Tests.Checkpoints.Zip;

/// <summary>Archives that are not what a writer of weights makes.</summary>
public sealed class ZipDirectoryTests
{
    private const int Compression = 10;
    private const int StoredLength = 20;
    private const int Length = 24;
    private const int Mode = 40;
    private const int HeaderOffset = 42;

    [Fact]
    public void Other_writers_members_are_read_alike()
    {
        using var folder = new TemporaryFolder();
        using (var zip = ZipFile.Open(folder["a.zip"], ZipArchiveMode.Create))
        {
            Write(zip, "stored", CompressionLevel.NoCompression, "abc");
            Write(zip, "täg/deflated", CompressionLevel.Optimal, new string('x', 1000));
            zip.Comment = "PK\u0005\u0006 is not the end";
        }

        using var read = new StoredZip(folder["a.zip"]);
        Assert.Equal(["stored", "täg/deflated"], read.Names);
        Assert.Equal("abc"u8, read.Read("stored", 10));
        Assert.Equal(Enumerable.Repeat((byte)'x', 1000), read.Read("täg/deflated", 1000));
        Assert.Throws<DataFormatException>(() => read.Read("täg/deflated", 999));
        Assert.Throws<DataFormatException>(() => read.Read("absent", 10));
    }

    [Theory]
    [InlineData("encrypted", 8, 1, "encrypted")]
    [InlineData("other method", Compression, 99, "method 99")]
    [InlineData("symbolic link", Mode, 0xA1FF, "is a link")]
    [InlineData("longer than stored", Length, 4, "not plausible")]
    [InlineData("into the next", StoredLength, 200, "not plausible")]
    [InlineData("the other's bytes", HeaderOffset, 67, "overlaps")]
    [InlineData("beyond the end", HeaderOffset, 60_000, "overlaps")]
    public void A_member_that_lies_is_refused(string what, int field, int value, string named)
    {
        var bytes = Archive("a", "b");
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(bytes.AsSpan().IndexOf("PK\u0001\u0002"u8) + field), (ushort)value);
        var message = Refused(bytes).Message;
        Assert.True(message.Contains(named, StringComparison.Ordinal), $"{what}: {message}");
    }

    [Fact]
    public void Two_members_of_one_name_are_refused() => Assert.Contains("two members", Refused(Archive("a", "a")).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData(10, "does not fit")] // count
    [InlineData(12, "does not fit")] // length
    [InlineData(16, "does not fit")] // start
    [InlineData(4, "one part of several")]
    public void A_directory_that_lies_is_refused(int field, string named)
    {
        var bytes = Archive("a", "b");
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(bytes.Length - 22 + field), 60_000);
        Assert.Contains(named, Refused(bytes).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_directory_of_less_than_no_members_is_refused()
    {
        var bytes = Archive("a", "b");
        var (records, end) = (bytes[..^22], bytes[^22..]);
        var directory = BinaryPrimitives.ReadUInt32LittleEndian(end.AsSpan(16));
        var size = BinaryPrimitives.ReadUInt32LittleEndian(end.AsSpan(12));
        BinaryPrimitives.WriteUInt32LittleEndian(end.AsSpan(8), uint.MaxValue); // counts are in the larger record
        BinaryPrimitives.WriteUInt32LittleEndian(end.AsSpan(12), uint.MaxValue);
        BinaryPrimitives.WriteUInt32LittleEndian(end.AsSpan(16), uint.MaxValue);
        var large = new byte[56 + 20];
        BinaryPrimitives.WriteUInt32LittleEndian(large, 0x06064b50);
        BinaryPrimitives.WriteInt64LittleEndian(large.AsSpan(4), 44);
        BinaryPrimitives.WriteInt64LittleEndian(large.AsSpan(24), -1);
        BinaryPrimitives.WriteInt64LittleEndian(large.AsSpan(32), -1);
        BinaryPrimitives.WriteInt64LittleEndian(large.AsSpan(40), size);
        BinaryPrimitives.WriteInt64LittleEndian(large.AsSpan(48), directory);
        BinaryPrimitives.WriteUInt32LittleEndian(large.AsSpan(56), 0x07064b50);
        BinaryPrimitives.WriteInt64LittleEndian(large.AsSpan(64), records.Length);
        BinaryPrimitives.WriteInt32LittleEndian(large.AsSpan(72), 1);
        Assert.Contains("its directory of -1 members", Refused([.. records, .. large, .. end]).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_local_header_that_reaches_into_the_next_member_is_refused()
    {
        using var folder = new TemporaryFolder();
        var bytes = Archive("a", "b");
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(28), 200); // length of the extra field
        File.WriteAllBytes(folder["a.zip"], bytes);
        using var zip = new StoredZip(folder["a.zip"]);
        Assert.Contains("damaged header", Assert.Throws<DataFormatException>(() => zip.Read("a", 10)).Message, StringComparison.Ordinal);
    }

    private static DataFormatException Refused(byte[] archive)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["evil.zip"], archive);
        var error = Stored.Refused(() => new StoredZip(folder["evil.zip"]).Dispose());
        Assert.Contains("evil.zip", error.Message, StringComparison.Ordinal);
        return error;
    }

    private static byte[] Archive(params string[] names)
    {
        using var stream = new MemoryStream();
        var zip = new StoredZipWriter(stream);
        foreach (var name in names)
        {
            zip.Add(name, [1, 2, 3]);
        }

        zip.Finish();
        return stream.ToArray();
    }

    private static void Write(ZipArchive zip, string name, CompressionLevel level, string content)
    {
        using var writer = new StreamWriter(zip.CreateEntry(name, level).Open());
        writer.Write(content);
    }
}
