using System.Diagnostics;
using System.IO.Compression;
using NextPatch.Core;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Tensors;
using NextPatch.Data.Datasets;
using NextPatch.Data.Sources;

namespace NextPatch.Data.Tests.Datasets;

/// <summary>Odd data is used or refused, and what is left out is counted by reason.</summary>
public sealed class NothingDroppedTests
{
    [Fact]
    public void Files_that_are_left_out_of_a_folder_are_counted_by_reason()
    {
        using var folder = new TemporaryFolder();
        SamplePictures.Write(folder["cat/1.png"], 0);
        SamplePictures.Write(folder["dog/1.png"], 1);
        SamplePictures.Write(folder["beside.png"], 2);
        foreach (var name in new[] { "cat/2.tif", "cat/3.TIF", "dog/4.jfif", "cat/.DS_Store", "dog/README", "cat/@eaDir/1.png", "dog/@eaDir/1.png",
            ".git/x.png" })
        {
            SamplePictures.Write(folder[name], 3);
        }

        using var parts = DatasetReader.OpenParts(folder.Path);
        Assert.Equal((2, 2), (parts.Train.Count, parts.Train.ClassNames.Count));
        Assert.Equal(
            new Dictionary<string, int>
            {
                ["end in .tif, which is not read"] = 2, ["end in .jfif, which is not read"] = 1, ["are hidden"] = 1, ["have no extension"] = 1,
                ["lie beside the class folders"] = 1, ["lie in or are folders called '@eaDir', which is no class"] = 2,
                ["lie in or are folders called '.git', which is no class"] = 1,
            },
            parts.Train.LeftOut.ToDictionary(l => l.Reason, l => l.Count));
        var sentence = LeftOutFiles.Describe("pets", parts.Train.LeftOut);
        Assert.StartsWith("Left out of 'pets': 2 that ", sentence, StringComparison.Ordinal);
        Assert.Equal(parts.Train.LeftOut, DatasetSurvey.Take(parts.Train).LeftOut);
        Assert.Equal(parts.Train.LeftOut, ChosenImages.From(parts, DatasetPart.All).LeftOut);
        Assert.Null(LeftOutFiles.Describe("pets", []));
    }

    [Fact]
    public void Files_outside_of_train_and_test_are_counted_in_archives_too()
    {
        using var folder = new TemporaryFolder();
        using (var archive = ZipFile.Open(folder["a.zip"], ZipArchiveMode.Create))
        {
            foreach (var name in new[] { "set/train/cat/1.png", "set/test/cat/1.png", "set/val/cat/1.png", "set/extra.png", "set/train/cat/x.avif",
                "__MACOSX/a" })
            {
                using var entry = archive.CreateEntry(name).Open();
                entry.Write(SamplePictures.Png(0));
            }
        }

        using var parts = DatasetReader.OpenParts(folder["a.zip"]);
        Assert.Equal(
            [("lie outside of the class folders of train/ and test/", 2), ("end in .avif, which is not read", 1),
                ("lie in or are folders called '__MACOSX', which is no class", 1)],
            parts.Train.LeftOut.Select(l => (l.Reason, l.Count)));
    }

    [Fact]
    public void A_pipe_among_images_is_named_and_not_waited_for()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "no named pipes to make here");
        using var folder = new TemporaryFolder();
        SamplePictures.Write(folder["cat/1.png"], 0);
        Process.Start("mkfifo", folder["cat/2.png"]).WaitForExit();
        using var parts = DatasetReader.OpenParts(folder.Path);
        Assert.Contains("is a named pipe", DatasetSurvey.Take(parts.Train).Bad.Single().Reason, StringComparison.Ordinal);
        foreach (var name in new[] { "a.tar", "a.zip", "a.npz", "a.csv", "a.bin", "a" })
        {
            Process.Start("mkfifo", folder[name]).WaitForExit();
            Assert.Contains(
                "is a named pipe", Assert.Throws<NextPatchException>(() => DatasetReader.OpenParts(folder[name])).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Links_in_circles_are_told_at_once()
    {
        using var folder = new TemporaryFolder();
        SamplePictures.Write(folder["set/cat/1.png"], 0);
        Directory.CreateSymbolicLink(folder["set/cat/again"], folder["set"]);
        Directory.CreateSymbolicLink(folder["set/cat/here"], folder["set/cat"]);
        Assert.Contains(
            "is a link back to", Assert.Throws<NextPatchException>(() => DatasetReader.OpenParts(folder["set"])).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("path,label\na.png,1_000\nb.png,2\n", "1_000")]
    [InlineData("path,label\na.png,0\nb.png,1.0\n", "1.0")]
    [InlineData("path,label\na.png,0\nb.png,-1\n", "-1")]
    [InlineData("path,label\na.png,\"0,5\"\nb.png,1\n", "0,5")]
    [InlineData("path,label\na.png,1e3\n", "1e3")]
    [InlineData("path,label,Label\na.png,0,1\n", "two columns are called 'label'")]
    [InlineData("path,label\n\"a.png,0\n", "a double quote without its end")]
    public void Numbers_in_lists_are_strict_and_nothing_is_taken_twice(string text, string expected)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["l.csv"], text);
        Assert.Contains(
            expected, Assert.Throws<DataFormatException>(() => DatasetReader.OpenParts(folder["l.csv"])).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{\"path\": \"a.png\", \"label\": true}", "'label' is True")]
    [InlineData("{\"path\": \"a.png\", \"label\": [1]}", "'label' is Array")]
    [InlineData("{\"path\": \"a.png\", \"label\": 1, \"Label\": 2}", "is there twice")]
    [InlineData("{\"path\": \"a.png\", \"label\": 1.5}", "1.5")]
    public void Labels_in_json_lines_are_text_or_whole_numbers(string text, string expected)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["l.jsonl"], text);
        Assert.Contains(
            expected, Assert.Throws<DataFormatException>(() => DatasetReader.OpenParts(folder["l.jsonl"])).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("l.csv", "path,label\na.png,dog\n")]
    [InlineData("l.jsonl", "{\"path\": \"a.png\", \"label\": \"dog\"}\n")]
    [InlineData("wrong.jsonl", "path,label\na.png,dog\n")]
    [InlineData("wrong.csv", "{\"path\": \"a.png\", \"label\": \"dog\"}\n")]
    public void Lists_begin_with_a_mark_or_without_and_are_known_by_their_content(string name, string text)
    {
        using var folder = new TemporaryFolder();
        foreach (var mark in new[] { "", "\ufeff" })
        {
            File.WriteAllText(folder[name], mark + text);
            using var parts = DatasetReader.OpenParts(folder[name]);
            Assert.Equal(["dog"], parts.Train.ClassNames);
        }
    }

    [Fact]
    public void Labels_of_another_rank_or_type_are_refused_and_not_dropped()
    {
        using var folder = new TemporaryFolder();
        var images = new HostTensor(ElementType.UInt8, [2, 4, 4, 3], new byte[96]);
        foreach (var (labels, i) in new[]
        {
            HostTensor.From<long>(ElementType.Int64, [2, 1], [0, 1]), HostTensor.From<float>(ElementType.Float32, [2], [0, 1]),
            HostTensor.From<bool>(ElementType.Bool, [2], [false, true]), HostTensor.From<long>(ElementType.Int64, [], [1]),
            HostTensor.From<long>(ElementType.Int64, [3], [0, 1, 1]), HostTensor.From<long>(ElementType.Int64, [2], [0, -1]),
        }.Select((l, i) => (l, i)))
        {
            foreach (var name in new[] { "labels", "arr_1" })
            {
                using (var writer = new NpzWriter(folder["a.npz"]))
                {
                    writer.Add("arr_0", images);
                    writer.Add(name, labels);
                }

                Assert.Contains(
                    name, Assert.Throws<DataFormatException>(() => DatasetReader.OpenParts(folder["a.npz"])).Message, StringComparison.Ordinal);
            }

            Assert.True(i >= 0);
        }
    }

    [Fact]
    public void A_gzipped_file_without_the_extension_is_unpacked_and_a_bomb_is_not()
    {
        using var folder = new TemporaryFolder();
        var record = new byte[3073];
        using (var gzip = new GZipStream(File.Create(folder["a.bin"]), CompressionLevel.Optimal))
        {
            gzip.Write(record);
        }

        using (var parts = DatasetReader.OpenParts(folder["a.bin"]))
        {
            Assert.Equal(1, parts.Train.Count);
        }

        using (var gzip = new GZipStream(File.Create(folder["b.bin.gz"]), CompressionLevel.Fastest))
        {
            for (var i = 0; i < 25_000; i++)
            {
                gzip.Write(record);
            }
        }

        Assert.Contains(
            "times its size", Assert.Throws<DataFormatException>(() => DatasetReader.OpenParts(folder["b.bin.gz"])).Message,
                StringComparison.Ordinal);
    }
}
