using System.Formats.Tar;
using System.IO.Compression;
using NextPatch.Core;
using NextPatch.Data.Datasets;

namespace NextPatch.Data.Tests.Datasets;

public sealed class ArchiveTests
{
    private static readonly (string Path, int Picture)[] Tree =
        [("set/train/cat/b.png", 1), ("set/train/cat/a.png", 0), ("set/train/dog/x/1.png", 2), ("set/val/cat/1.png", 3), ("set/val/dog/2.png", 4),
            ("__MACOSX/set/._a.png", 5)];

    [Theory]
    [InlineData("a.tar")]
    [InlineData("a.tar.gz")]
    [InlineData("a.tgz")]
    [InlineData("a.zip")]
    public void Archive_reads_as_the_folder_inside(string name)
    {
        using var folder = new TemporaryFolder();
        Pack(folder[name], Tree);
        using var parts = DatasetReader.OpenParts(folder[name]);
        Assert.Equal(["cat", "dog"], parts.Train.ClassNames);
        Assert.Equal([0, 0, 1], Enumerable.Range(0, parts.Train.Count).Select(parts.Train.Label));
        Assert.All([0, 1, 2], i => Assert.Equal(SamplePictures.Pixels(i).Pixels, parts.Train.Decode(i).Pixels));
        Assert.Equal(2, parts.Test!.Count);
        Assert.Equal(SamplePictures.Pixels(4).Pixels, parts.Test.Decode(1).Pixels);
        Assert.EndsWith("a.png", parts.Train.PathOf(0), StringComparison.Ordinal);
        Assert.Equal([folder[name]], Directory.GetFiles(folder.Path)); // nothing was unpacked beside it
    }

    [Theory]
    [InlineData("a.tar", "../evil/1.png")]
    [InlineData("a.zip", "../evil/1.png")]
    [InlineData("a.tar", "/etc/x/1.png")]
    [InlineData("a.zip", "c:\\x\\1.png")]
    public void Names_that_lead_out_of_the_archive_are_refused(string name, string path)
    {
        using var folder = new TemporaryFolder();
        Pack(folder[name], [("cat/1.png", 0), (path, 1)]);
        Assert.Contains(
            "leads out of the archive", Assert.Throws<DataFormatException>(() => DatasetReader.OpenParts(folder[name])).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Links_in_a_tar_archive_are_refused()
    {
        using var folder = new TemporaryFolder();
        using (var writer = new TarWriter(File.Create(folder["a.tar"])))
        {
            writer.WriteEntry(new PaxTarEntry(TarEntryType.SymbolicLink, "cat/1.png") { LinkName = "/etc/passwd" });
        }

        Assert.Contains(
            "'cat/1.png', which is a SymbolicLink", Assert.Throws<DataFormatException>(() => DatasetReader.OpenParts(folder["a.tar"])).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Links_in_a_zip_archive_are_refused()
    {
        using var folder = new TemporaryFolder();
        using (var archive = ZipFile.Open(folder["a.zip"], ZipArchiveMode.Create))
        {
            archive.CreateEntry("cat/1.png").ExternalAttributes = unchecked((int)0xA1FF0000);
        }

        Assert.Contains(
            "is a link", Assert.Throws<DataFormatException>(() => DatasetReader.OpenParts(folder["a.zip"])).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("a.tar")]
    [InlineData("a.tar.gz")]
    [InlineData("a.zip")]
    public void Damaged_archives_give_errors_and_nothing_else(string name)
    {
        using var folder = new TemporaryFolder();
        Pack(folder[name], Tree);
        var sound = File.ReadAllBytes(folder[name]);
        var random = new Random(5);
        for (var round = 0; round < 60; round++)
        {
            var bytes = (byte[])sound.Clone();
            for (var k = 0; k < 8; k++)
            {
                // Half of the flips go where the structure is.
                bytes[k % 2 == 0 ? random.Next(bytes.Length) : Math.Min(random.Next(600), bytes.Length - 1)] = (byte)random.Next(256);
            }

            File.WriteAllBytes(folder[name], round % 3 == 0 ? bytes[..random.Next(bytes.Length)] : bytes);
            try
            {
                using var parts = DatasetReader.OpenParts(folder[name]);
                for (var i = 0; i < parts.Train.Count; i++)
                {
                    parts.Train.Decode(i);
                }
            }
            catch (NextPatchException e)
            {
                Assert.Contains(folder.Path, e.Message, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public void Gzip_bomb_is_refused()
    {
        using var folder = new TemporaryFolder();
        using (var gzip = new GZipStream(File.Create(folder["a.tar.gz"]), CompressionLevel.Fastest))
        {
            var zeros = new byte[1 << 20];
            for (var i = 0; i < 80; i++)
            {
                gzip.Write(zeros);
            }
        }

        Assert.Contains(
            "times its size", Assert.Throws<DataFormatException>(() => DatasetReader.OpenParts(folder["a.tar.gz"])).Message,
            StringComparison.Ordinal);
    }

    private static void Pack(string path, (string Path, int Picture)[] tree)
    {
        if (path.EndsWith(".zip", StringComparison.Ordinal))
        {
            using var archive = ZipFile.Open(path, ZipArchiveMode.Create);
            foreach (var (name, picture) in tree)
            {
                using var entry = archive.CreateEntry(name).Open();
                entry.Write(SamplePictures.Png(picture));
            }

            return;
        }

        Stream stream = File.Create(path);
        using var writer = new TarWriter(path.EndsWith(".tar", StringComparison.Ordinal) ? stream : new GZipStream(stream, CompressionLevel.Optimal));
        foreach (var (name, picture) in tree)
        {
            writer.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(SamplePictures.Png(picture)) });
        }
    }
}
