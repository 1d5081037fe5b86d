using System.IO.Compression;
using CsCheck;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Tests.Checkpoints.Numpy;

public sealed class NpzFileTests
{
    [Fact]
    public void What_is_written_is_read() => Stored.Tensors(Stored.NumPyTypes).Array[0, 4].Sample(
        tensors =>
        {
            using var folder = new TemporaryFolder();
            var named = Stored.Named(tensors);
            Write(folder["a.npz"], named);
            var read = NpzFile.Read(folder["a.npz"]);
            Assert.Equal(named.Select(pair => pair.Key), read.Keys);
            Assert.All(named, pair => Stored.AssertEqual(pair.Value, read[pair.Key]));
        },
        iter: 50);

    [Fact]
    public void Members_written_by_numpy_are_written_alike()
    {
        using var folder = new TemporaryFolder();
        var numpy = Stored.Fixture("ref_batch_demo.npz");
        Write(folder["a.npz"], NpzFile.Read(numpy));
        using var theirs = ZipFile.OpenRead(numpy);
        using var ours = ZipFile.OpenRead(folder["a.npz"]);
        Assert.Equal(theirs.Entries.Select(Identity), ours.Entries.Select(Identity));

        static (string, long, long, uint) Identity(ZipArchiveEntry entry) => (entry.FullName, entry.Length, entry.CompressedLength, entry.Crc32);
    }

    [Fact]
    public void Fortran_ordered_and_deflated_members_are_read()
        => Stored.AssertEqual(
            NpzFile.Read(Stored.Fixture("ref_batch_demo.npz"))["arr_0"], Assert.Single(NpzFile.Read(Stored.Fixture("fortran.npz"))).Value);

    [Fact]
    public void The_same_arrays_give_the_same_bytes()
    {
        using var folder = new TemporaryFolder();
        var named = Stored.Named(HostTensor.FromSingles([3], [1, 2, 3]));
        Write(folder["a.npz"], named);
        Write(folder["b.npz"], named);
        Assert.Equal(File.ReadAllBytes(folder["a.npz"]), File.ReadAllBytes(folder["b.npz"]));

        // Zip times have a resolution of two seconds: equal bytes alone would not show a clock.
        using var zip = ZipFile.OpenRead(folder["a.npz"]);
        Assert.Equal(new DateTime(1980, 1, 1), zip.Entries[0].LastWriteTime.DateTime);
    }

    [Fact]
    public void Arrays_are_streamed_in_pieces()
    {
        using var folder = new TemporaryFolder();
        using (var writer = new NpzWriter(folder["a.npz"]))
        {
            using (var images = writer.BeginArray("arr_0", ElementType.UInt8, [3, 2]))
            {
                images.Write([1, 2, 3]);
                images.Write([4, 5, 6]);
                Assert.Throws<InvalidOperationException>(() => images.Write([7]));
            }

            writer.Add("labels", HostTensor.From<int>(ElementType.Int32, [3], [7, 8, 9]));
        }

        var read = NpzFile.Read(folder["a.npz"]);
        Assert.Equal([1L, 2, 3, 4, 5, 6], read["arr_0"].ToInt64());
        Assert.Equal([7L, 8, 9], read["labels"].ToInt64());
    }

    [Fact]
    public void Incomplete_array_leaves_no_file()
    {
        using var folder = new TemporaryFolder();
        using (var writer = new NpzWriter(folder["a.npz"]))
        {
            using (var images = writer.BeginArray("arr_0", ElementType.UInt8, [3, 2]))
            {
                images.Write([1, 2, 3]);
            }

            Assert.Throws<InvalidOperationException>(() => writer.BeginArray("b", ElementType.UInt8, [1]));
        }

        Assert.False(File.Exists(folder["a.npz"]));
    }

    [Theory]
    [InlineData(CompressionLevel.NoCompression)]
    [InlineData(CompressionLevel.Optimal)]
    public void Damage_is_refused_or_harmless(CompressionLevel level)
    {
        using var folder = new TemporaryFolder();
        Zip(folder["a.npz"], level, NpyFileTests.Npy(
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]));
        Assert.Equal(3, NpzFile.Read(folder["a.npz"])["a"].Count);
        var whole = File.ReadAllBytes(folder["a.npz"]);
        Stored.AssertRefusedWhenTruncated(whole, path => NpzFile.Read(path));
        Stored.AssertSafeWhenDamaged(whole, path => NpzFile.Read(path));
    }

    [Fact]
    public void A_flipped_bit_in_the_data_is_found()
    {
        using var folder = new TemporaryFolder();
        Write(folder["a.npz"], Stored.Named(HostTensor.FromSingles([64], new float[64])));
        var bytes = File.ReadAllBytes(folder["a.npz"]);
        bytes[220] ^= 4;
        File.WriteAllBytes(folder["a.npz"], bytes);
        Assert.Contains("checksum", Assert.Throws<DataFormatException>(() => NpzFile.Read(folder["a.npz"])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_bomb_is_refused_before_it_is_inflated()
    {
        using var folder = new TemporaryFolder();
        Zip(folder["a.npz"], CompressionLevel.Fastest,
            NpyFileTests.Npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", new byte[50_000_000]));
        Assert.Contains("[3] needs", Stored.Refused(() => NpzFile.Read(folder["a.npz"])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_declared_length_that_deflate_cannot_reach_is_refused()
    {
        using var folder = new TemporaryFolder();
        var file = NpyFileTests.Npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1900000000,), }", new byte[100]);
        Zip(folder["a.npz"], CompressionLevel.Optimal, file);
        var bytes = File.ReadAllBytes(folder["a.npz"]);
        var directory = bytes.AsSpan().IndexOf("PK\x01\x02"u8);
        BitConverter.GetBytes((uint)(file.Length - 100 + 1_900_000_000)).CopyTo(bytes, directory + 24);
        File.WriteAllBytes(folder["a.npz"], bytes);
        Assert.Contains("plausible", Stored.Refused(() => NpzFile.Read(folder["a.npz"])).Message, StringComparison.Ordinal);
    }

    private static void Write(string path, IEnumerable<KeyValuePair<string, HostTensor>> arrays)
    {
        using var writer = new NpzWriter(path);
        foreach (var (name, tensor) in arrays)
        {
            writer.Add(name, tensor);
        }
    }

    private static void Zip(string path, CompressionLevel level, byte[] member)
    {
        using var zip = ZipFile.Open(path, ZipArchiveMode.Create);
        using var stream = zip.CreateEntry("a.npy", level).Open();
        stream.Write(member);
    }
}
