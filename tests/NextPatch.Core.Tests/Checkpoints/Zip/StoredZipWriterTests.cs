using System.IO.Compression;
using NextPatch.Core.Checkpoints.Zip;

namespace NextPatch.Core.Tests.Checkpoints.Zip;

public sealed class StoredZipWriterTests
{
    [Fact]
    public void Members_beyond_4_GiB_are_found()
    {
        using var folder = new TemporaryFolder();
        using (var stream = File.Create(folder["a.zip"]))
        {
            // A hole: no byte of the five gigabytes is stored.
            var zip = new StoredZipWriter(stream);
            zip.Add("near", "n"u8.ToArray());
            stream.Position = 5L << 30;
            zip.Add("far", "f"u8.ToArray());
            zip.Finish();
        }

        Assert.Equal(["near n", "far f"], Content(folder["a.zip"]));
    }

    [Fact]
    public void More_members_than_16_bits_count_are_found()
    {
        using var folder = new TemporaryFolder();
        using (var stream = File.Create(folder["a.zip"]))
        {
            var zip = new StoredZipWriter(stream);
            for (var i = 0; i < 65_536; i++)
            {
                zip.Add($"{i}", Array.Empty<byte>());
            }

            zip.Finish();
        }

        Assert.Equal(65_536, Content(folder["a.zip"]).Count);
    }

    private static List<string> Content(string path)
    {
        using var zip = ZipFile.OpenRead(path);
        return [.. zip.Entries.Select(entry =>
        {
            using var reader = new StreamReader(entry.Open());
            return $"{entry.FullName} {reader.ReadToEnd()}";
        })];
    }
}
