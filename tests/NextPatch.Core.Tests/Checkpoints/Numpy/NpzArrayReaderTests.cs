using System.IO.Compression;
using CsCheck;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Tests.Checkpoints.Numpy;

public sealed class NpzArrayReaderTests
{
    [Theory]
    [InlineData(CompressionLevel.NoCompression)]
    [InlineData(CompressionLevel.Fastest)]
    public void Read_in_parts_it_is_the_array(CompressionLevel level) => Gen.Byte.Array[1, 5000].Select(Gen.Int[1, 700]).Sample(
        (bytes, part) =>
        {
            using var folder = new TemporaryFolder();
            Write(folder["a.npz"], "arr_0", [bytes.Length], bytes, level);
            using var reader = new NpzArrayReader(folder["a.npz"], "arr_0");
            var read = new byte[bytes.Length];
            for (var at = 0; at < read.Length; at += part)
            {
                reader.Read(read.AsSpan(at, Math.Min(part, read.Length - at)));
            }

            Assert.Equal([(long)bytes.Length], reader.Header.Shape);
            Assert.Equal(bytes, read);
        },
        iter: 30);

    [Theory]
    [InlineData("ref_batch_demo.npz")]
    [InlineData("fortran.npz")] // deflated and Fortran-ordered
    public void What_numpy_wrote_is_read_in_the_order_of_its_elements(string fixture)
    {
        var whole = NpzFile.Read(Stored.Fixture(fixture))["arr_0"];
        using var reader = new NpzArrayReader(Stored.Fixture(fixture), "arr_0");
        var read = new byte[whole.Bytes.Length];
        reader.Read(read.AsSpan(0, 100));
        reader.Read(read.AsSpan(100));

        Assert.True(whole.Bytes.Span.SequenceEqual(read));
    }

    [Theory]
    [InlineData(CompressionLevel.NoCompression)]
    [InlineData(CompressionLevel.Fastest)]
    public void Damage_shows_at_the_last_element_at_the_latest(CompressionLevel level)
    {
        using var folder = new TemporaryFolder();
        var bytes = new byte[4000];
        new Random(1).NextBytes(bytes);
        Write(folder["a.npz"], "arr_0", [bytes.Length], bytes, level);
        var file = File.ReadAllBytes(folder["a.npz"]);
        file[1500] ^= 0x10;
        File.WriteAllBytes(folder["a.npz"], file);

        using var reader = new NpzArrayReader(folder["a.npz"], "arr_0");
        var error = Assert.Throws<DataFormatException>(() => reader.Read(new byte[bytes.Length]));

        Assert.Contains("a.npz: arr_0.npy", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_array_and_a_cut_file_are_named()
    {
        using var folder = new TemporaryFolder();
        Write(folder["a.npz"], "arr_0", [300], new byte[300], CompressionLevel.NoCompression);

        Assert.Contains(
            "arr_7", Assert.Throws<DataFormatException>(() => new NpzArrayReader(folder["a.npz"], "arr_7")).Message, StringComparison.Ordinal);
        File.WriteAllBytes(folder["b.npz"], File.ReadAllBytes(folder["a.npz"])[..200]);
        Assert.Contains(
            "b.npz", Assert.Throws<DataFormatException>(() => new NpzArrayReader(folder["b.npz"], "arr_0")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_header_that_promises_more_than_the_member_holds_is_refused()
    {
        using var folder = new TemporaryFolder();
        Write(folder["a.npz"], "arr_0", [300, 1000], new byte[300], CompressionLevel.Fastest);

        Assert.Contains(
            "[300, 1000]", Assert.Throws<DataFormatException>(() => new NpzArrayReader(folder["a.npz"], "arr_0")).Message, StringComparison.Ordinal);
    }

    private static void Write(string path, string name, long[] shape, byte[] bytes, CompressionLevel level)
    {
        using var zip = ZipFile.Open(path, ZipArchiveMode.Create);
        using var member = zip.CreateEntry(name + ".npy", level).Open();
        NpyFile.WriteHeader(member, ElementType.UInt8, shape);
        member.Write(bytes);
    }
}
