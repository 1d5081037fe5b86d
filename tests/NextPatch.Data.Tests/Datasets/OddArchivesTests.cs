using System.Formats.Tar;
using System.IO.Compression;
using NextPatch.Core;
using NextPatch.Data.Containers;
using NextPatch.Data.Datasets;

namespace NextPatch.Data.Tests.Datasets;

/// <summary>Archives that are damaged where only their checksums tell, or that hold what is no file: refused as the tools for them do.</summary>
public sealed class OddArchivesTests
{
    [Fact]
    public void A_damaged_member_of_a_zip_is_told_by_its_checksum()
    {
        using var folder = new TemporaryFolder();
        using (var archive = ZipFile.Open(folder["a.zip"], ZipArchiveMode.Create))
        {
            using var entry = archive.CreateEntry("cat/1.ppm", CompressionLevel.NoCompression).Open();
            entry.Write("P6 2 2 255\n012345678901"u8);
        }

        var bytes = File.ReadAllBytes(folder["a.zip"]);
        bytes[bytes.AsSpan().IndexOf("012345"u8)] ^= 1;
        File.WriteAllBytes(folder["a.zip"], bytes);
        using var parts = DatasetReader.OpenParts(folder["a.zip"]);
        Assert.Contains("checksum", Assert.Throws<DataFormatException>(() => parts.Train.Decode(0)).Message, StringComparison.Ordinal);
    }

    /// <summary>Names of some kilobytes that would take hours and all memory.</summary>
    [Theory]
    [InlineData(33)]
    [InlineData(30_000)]
    public void Folders_in_folders_without_end_are_refused(int depth)
    {
        using var folder = new TemporaryFolder();
        using (var archive = ZipFile.Open(folder["a.zip"], ZipArchiveMode.Create))
        {
            archive.CreateEntry(string.Concat(Enumerable.Repeat("a/", depth)) + "x.png");
        }

        using (var stream = File.Create(folder["a.tar"]))
        using (var writer = new TarWriter(stream, TarEntryFormat.Pax))
        {
            writer.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, string.Concat(Enumerable.Repeat("a/", depth)) + "x.png"));
        }

        Assert.All((string[])["a.zip", "a.tar"], name => Assert.Contains(
            "more than 32 folders deep", Refusal(folder[name]), StringComparison.Ordinal));
    }

    /// <summary>Names of 32 folders each, of 120 characters: a file of 290 KB took 1.4 GB.</summary>
    [Fact]
    public void More_folders_than_a_tree_may_have_are_refused()
    {
        var paths = new ArchivePaths("a.tar.gz");
        var parts = string.Concat(Enumerable.Repeat("/b", 31));
        for (var i = 0; i < 250_000 / 32; i++)
        {
            paths.AddFile($"{i}{parts}/x.png");
        }

        paths.AddFolder($"last{string.Concat(Enumerable.Repeat("/b", 15))}"); // the 250,000th
        paths.AddFile("0/b/y.png");
        Assert.Contains(
            "'a.tar.gz' holds more than 250000 folders", Assert.Throws<DataFormatException>(() => paths.AddFolder("one")).Message,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0x1000, "a named pipe")]
    [InlineData(0x2000, "a character device")]
    [InlineData(0xA000, "a link")]
    [InlineData(0xC000, "a socket")]
    public void What_a_zip_says_to_be_no_file_is_refused(int type, string expected)
    {
        using var folder = new TemporaryFolder();
        using (var archive = ZipFile.Open(folder["a.zip"], ZipArchiveMode.Create))
        {
            archive.CreateEntry("cat/1.png").ExternalAttributes = unchecked((type | 0x1FF) << 16);
        }

        Assert.Contains(expected, Refusal(folder["a.zip"]), StringComparison.Ordinal);
    }

    /// <summary>Any byte of any header: name, length, type, checksum.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    [InlineData(130)]
    [InlineData(150)]
    [InlineData(156)]
    [InlineData(400)]
    public void A_damaged_header_of_a_tar_is_told_by_its_checksum(int at)
    {
        using var folder = new TemporaryFolder();
        foreach (var member in new[] { 0, 1 })
        {
            var starts = Pack(folder["a.tar"]);
            Flip(folder["a.tar"], starts[member] + at);
            Assert.Contains("does not match its checksum", Refusal(folder["a.tar"]), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Sound_archives_of_every_format_pass()
    {
        using var folder = new TemporaryFolder();
        foreach (var format in new[] { TarEntryFormat.V7, TarEntryFormat.Ustar, TarEntryFormat.Gnu, TarEntryFormat.Pax })
        {
            Pack(folder["a.tar"], format, longName: format is TarEntryFormat.Gnu or TarEntryFormat.Pax);
            using var parts = DatasetReader.OpenParts(folder["a.tar"]);
            Assert.Equal(2, parts.Train.Count);
            Assert.Equal(SamplePictures.Pixels(1).Pixels, parts.Train.Decode(1).Pixels);
        }
    }

    [Fact]
    public void A_sparse_member_is_named_and_not_read_as_if_it_were_whole()
    {
        using var folder = new TemporaryFolder();
        using (var writer = new TarWriter(File.Create(folder["a.tar"])))
        {
            var attributes = new Dictionary<string, string>
            {
                ["GNU.sparse.major"] = "1", ["GNU.sparse.minor"] = "0", ["GNU.sparse.name"] = "cat/1.png",
            };
            writer.WriteEntry(
                new PaxTarEntry(TarEntryType.RegularFile, "cat/GNUSparseFile.0/1.png", attributes)
                {
                    DataStream = new MemoryStream(SamplePictures.Png(0)),
                });
        }

        Assert.Contains("sparse", Refusal(folder["a.tar"]), StringComparison.Ordinal);
    }

    [Fact]
    public void A_damaged_or_truncated_gzip_is_told_by_its_checksum()
    {
        using var folder = new TemporaryFolder();
        Pack(folder["a.tar"]);
        var sound = Gzip(File.ReadAllBytes(folder["a.tar"]));
        File.WriteAllBytes(folder["checksum.tgz"], [.. sound[..^8], (byte)(sound[^8] ^ 1), .. sound[^7..]]);
        File.WriteAllBytes(folder["behind.tgz"], [.. sound, 1, 2, 3, 4]);
        File.WriteAllBytes(folder["twice.tgz"], [.. sound, .. Gzip([])]);
        Assert.Contains("not a sound gzip file", Refusal(folder["checksum.tgz"]), StringComparison.Ordinal);
        Assert.Contains("not a sound gzip file", Refusal(folder["behind.tgz"]), StringComparison.Ordinal);
        foreach (var missing in new[] { 1, 4, 6, 8, 9, 20, sound.Length / 2, sound.Length - 20 })
        {
            File.WriteAllBytes(folder["short.tgz"], sound[..^missing]);
            Assert.Contains("not a sound gzip file", Refusal(folder["short.tgz"]), StringComparison.Ordinal);
        }

        using var parts = DatasetReader.OpenParts(folder["twice.tgz"]); // members may follow each other
        Assert.Equal(SamplePictures.Pixels(1).Pixels, parts.Train.Decode(1).Pixels);
    }

    /// <summary>Killed at any moment, nothing of it stays.</summary>
    [Fact]
    public void An_unpacked_archive_has_no_name_while_it_is_read()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "an open file keeps its name there");
        using var folder = new TemporaryFolder();
        Pack(folder["a.tar"]);
        using (var gzip = new GZipStream(File.Create(folder["a.tgz"]), CompressionLevel.Optimal))
        {
            gzip.Write(File.ReadAllBytes(folder["a.tar"]));
        }

        using var parts = DatasetReader.OpenParts(folder["a.tgz"]);
        Assert.Empty(Directory.GetFiles(Path.GetTempPath(), "nextpatch-*.tar"));
        Assert.Equal(SamplePictures.Pixels(1).Pixels, parts.Train.Decode(1).Pixels);
    }

    [Theory]
    [InlineData("a.zip")]
    [InlineData("a.dat")]
    [InlineData("a.csv")]
    public void An_archive_is_known_by_its_content(string name)
    {
        using var folder = new TemporaryFolder();
        Pack(folder["x.tar"]);
        File.Move(folder["x.tar"], folder[name]);
        using var parts = DatasetReader.OpenParts(folder[name]);
        Assert.Equal("tar archive", parts.Train.Layout);
    }

    private static byte[] Gzip(byte[] content)
    {
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Optimal))
        {
            gzip.Write(content);
        }

        return packed.ToArray();
    }

    private static string Refusal(string path) => Assert.Throws<DataFormatException>(() => DatasetReader.OpenParts(path)).Message;

    /// <returns>Where the headers lie.</returns>
    private static int[] Pack(string path, TarEntryFormat format = TarEntryFormat.Ustar, bool longName = false)
    {
        var starts = new List<int>();
        using var stream = File.Create(path);
        using var writer = new TarWriter(stream, format);
        for (var i = 0; i < 2; i++)
        {
            starts.Add((int)stream.Position);
            TarEntry entry = (format, $"cat/{(longName ? new string('n', 150) : "")}{i}.png") switch
            {
                (TarEntryFormat.V7, var n) => new V7TarEntry(TarEntryType.V7RegularFile, n),
                (TarEntryFormat.Ustar, var n) => new UstarTarEntry(TarEntryType.RegularFile, n),
                (TarEntryFormat.Gnu, var n) => new GnuTarEntry(TarEntryType.RegularFile, n),
                (_, var n) => new PaxTarEntry(TarEntryType.RegularFile, n),
            };
            entry.DataStream = new MemoryStream(SamplePictures.Png(i));
            writer.WriteEntry(entry);
        }

        return [.. starts];
    }

    private static void Flip(string path, int at)
    {
        var bytes = File.ReadAllBytes(path);
        bytes[at] ^= 1;
        File.WriteAllBytes(path, bytes);
    }
}
