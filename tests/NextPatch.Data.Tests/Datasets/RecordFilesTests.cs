using System.Buffers.Binary;
using System.IO.Compression;
using NextPatch.Core;
using NextPatch.Data.Datasets;

namespace NextPatch.Data.Tests.Datasets;

/// <summary>IDX and CIFAR-10 files, plain and compressed, sound and damaged.</summary>
public sealed class RecordFilesTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Idx_images_are_centred_on_black_in_grey(bool compressed)
    {
        using var folder = new TemporaryFolder();
        WriteIdx(folder, "train", count: 3, compressed);
        WriteIdx(folder, "t10k", count: 2, compressed);
        var (train, test) = DatasetReader.Open(folder.Path);

        Assert.Equal((32, 3, 2), (train.Side, train.Count, test.Count));
        Assert.Equal([0, 1, 2], train.Labels);
        Assert.Equal(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"], train.ClassNames);
        for (var y = 0; y < 32; y++)
        {
            for (var x = 0; x < 32; x++)
            {
                var expected = x is < 2 or > 29 || y is < 2 or > 29 ? (byte)0 : Grey(2, x - 2, y - 2);
                Assert.Equal([expected, expected, expected], train.Image(2).Slice(((y * 32) + x) * 3, 3).ToArray());
            }
        }
    }

    [Fact]
    public void Idx_without_test_part_holds_out_a_share()
    {
        using var folder = new TemporaryFolder();
        WriteIdx(folder, "train", count: 40, compressed: false);
        var (train, heldOut) = DatasetReader.Open(folder.Path, heldOutShare: 0.25);
        Assert.Equal((30, 10), (train.Count, heldOut.Count));
    }

    [Fact]
    public void Requested_side_resizes()
    {
        using var folder = new TemporaryFolder();
        WriteIdx(folder, "train", count: 40, compressed: false);
        var (train, heldOut) = DatasetReader.Open(folder.Path, side: 16);
        Assert.Equal((16, 16, 40), (train.Side, heldOut.Side, train.Count + heldOut.Count));
    }

    [Fact]
    public void Truncated_idx_names_file_and_bytes()
    {
        using var folder = new TemporaryFolder();
        WriteIdx(folder, "train", count: 3, compressed: false);
        var path = folder["train-images-idx3-ubyte"];
        File.WriteAllBytes(path, File.ReadAllBytes(path)[..1000]);
        var error = Assert.Throws<DataFormatException>(() => DatasetReader.Open(folder.Path));
        Assert.Equal($"'{path}' is truncated: expected 2368 bytes (unpacked) but got 1000. Copy or download it again.", error.Message);
    }

    [Fact]
    public void Damaged_gzip_names_the_file()
    {
        using var folder = new TemporaryFolder();
        WriteIdx(folder, "train", count: 3, compressed: true);
        var path = folder["train-images-idx3-ubyte.gz"];
        File.WriteAllBytes(path, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        Assert.Contains(path, Assert.Throws<DataFormatException>(() => DatasetReader.Open(folder.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Idx_that_claims_too_much_is_refused_before_memory_is_taken()
    {
        using var folder = new TemporaryFolder();
        WriteIdx(folder, "train", count: 3, compressed: false);
        var path = folder["train-images-idx3-ubyte"];
        var bytes = File.ReadAllBytes(path);
        bytes.AsSpan(4, 12).Fill(0x7F);
        File.WriteAllBytes(path, bytes);
        Assert.Contains(
            "claims the shape", Assert.Throws<DataFormatException>(() => DatasetReader.Open(folder.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Other_number_of_labels_than_images_is_an_error()
    {
        using var folder = new TemporaryFolder();
        WriteIdx(folder, "train", count: 3, compressed: false);
        using (var other = new TemporaryFolder())
        {
            WriteIdx(other, "train", count: 4, compressed: false);
            File.Copy(other["train-labels-idx1-ubyte"], folder["train-labels-idx1-ubyte"], overwrite: true);
        }

        Assert.Contains(
            "has 3 images but", Assert.Throws<DataFormatException>(() => DatasetReader.Open(folder.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Cifar_batches_come_in_order_with_planes_interleaved()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["data_batch_2.bin"], Record(7, 40));
        File.WriteAllBytes(folder["data_batch_1.bin"], [.. Record(3, 10), .. Record(9, 20)]);
        WriteCompressed(folder["test_batch.bin.gz"], Record(0, 5));
        var (train, test) = DatasetReader.Open(folder.Path);

        Assert.Equal([3, 9, 7], train.Labels);
        Assert.Equal("frog", train.ClassNames[6]);
        Assert.Equal([20, 21, 22], train.Image(1)[..3].ToArray());
        Assert.Equal([20 + 3, 21 + 3, 22 + 3], train.Image(1).Slice(32 * 3 * 3, 3).ToArray());
        Assert.Equal([0], test.Labels);
    }

    [Fact]
    public void Single_cifar_file_opens_by_its_own_path_or_its_folder()
    {
        using var folder = new TemporaryFolder();
        var path = folder["first.bin.gz"];
        WriteCompressed(path, [.. Enumerable.Range(0, 20).SelectMany(i => Record((byte)(i % 10), (byte)i))]);
        Assert.All([path, folder.Path], p =>
        {
            var (train, heldOut) = DatasetReader.Open(p);
            Assert.Equal((10, 10), (train.Count, heldOut.Count));
        });
    }

    [Fact]
    public void Truncated_cifar_record_names_file_and_bytes()
    {
        using var folder = new TemporaryFolder();
        var path = folder["data_batch_1.bin"];
        File.WriteAllBytes(path, [.. Record(1, 1), .. Record(2, 2)[..100]]);
        Assert.Equal(
            $"'{path}' is truncated: expected whole CIFAR-10 records of 3073 bytes (6146 in all) but got 3173 bytes.",
            Assert.Throws<DataFormatException>(() => DatasetReader.Open(path)).Message);
    }

    [Fact]
    public void File_of_something_else_is_not_taken_for_cifar()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder["model.bin"], Record(200, 0));
        Assert.Contains(
            "record 0 has label 200", Assert.Throws<DataFormatException>(() => DatasetReader.Open(folder.Path)).Message, StringComparison.Ordinal);
    }

    private static byte Grey(int image, int x, int y) => (byte)((image * 50) + (y * 28) + x);

    private static void WriteIdx(TemporaryFolder folder, string part, int count, bool compressed)
    {
        var images = new byte[16 + (count * 28 * 28)];
        var labels = new byte[8 + count];
        int[] header = [0x803, count, 28, 28];
        for (var k = 0; k < 4; k++)
        {
            BinaryPrimitives.WriteInt32BigEndian(images.AsSpan(4 * k), header[k]);
        }

        BinaryPrimitives.WriteInt32BigEndian(labels, 0x801);
        BinaryPrimitives.WriteInt32BigEndian(labels.AsSpan(4), count);
        for (var i = 0; i < count; i++)
        {
            labels[8 + i] = (byte)(i % 10);
            for (var p = 0; p < 28 * 28; p++)
            {
                images[16 + (i * 28 * 28) + p] = Grey(i, p % 28, p / 28);
            }
        }

        Write(folder[$"{part}-images-idx3-ubyte"], images, compressed);
        Write(folder[$"{part}-labels-idx1-ubyte"], labels, compressed);
    }

    /// <summary>Pixel (x, y) is (value + y, value + 1 + y, value + 2 + y).</summary>
    private static byte[] Record(byte label, byte value)
        => [label, .. Enumerable.Range(0, 3).SelectMany(c => Enumerable.Range(0, 1024).Select(p => (byte)(value + c + (p / 32))))];

    private static void Write(string path, byte[] bytes, bool compressed)
    {
        if (compressed)
        {
            WriteCompressed(path + ".gz", bytes);
        }
        else
        {
            File.WriteAllBytes(path, bytes);
        }
    }

    private static void WriteCompressed(string path, byte[] bytes)
    {
        using var gzip = new GZipStream(File.Create(path), CompressionLevel.Fastest);
        gzip.Write(bytes);
    }
}
