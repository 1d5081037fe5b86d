using NextPatch.Core;
using NextPatch.Data.Datasets;

namespace NextPatch.Data.Tests.Datasets;

public sealed class ImageTreeTests
{
    [Fact]
    public void Classes_and_files_come_in_ordinal_order_folder_by_folder()
    {
        using var folder = new TemporaryFolder();
        string[] files = ["b/z.jpg", "b/a-b/1.jpg", "b/a/c/1.png", "b/B.JPG", "b/notes.txt", "a10/1.webp", "a9/1.bmp", "Z/1.gif", ".git/1.png",
            "top.jpg"];
        Assert.Equal(["Z/1.gif", "a10/1.webp", "a9/1.bmp", "b/B.JPG", "b/z.jpg", "b/a-b/1.jpg", "b/a/c/1.png"], Order(folder, files));
    }

    [Fact]
    public void Images_in_no_folder_are_one_class()
    {
        using var folder = new TemporaryFolder();
        Assert.Equal(["1.jpg", "2.png"], Order(folder, ["2.png", "1.jpg", "readme.txt"]));
        using var parts = DatasetReader.OpenParts(folder.Path);
        Assert.Equal([Path.GetFileName(folder.Path)], parts.Train.ClassNames);
    }

    [Fact]
    public void Link_to_a_folder_above_is_an_error_and_not_an_endless_walk()
    {
        using var folder = new TemporaryFolder();
        Touch(folder, "a/1.png");
        try
        {
            Directory.CreateSymbolicLink(folder["a/loop"], folder.Path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Assert.Skip("links are not allowed here");
        }

        Assert.Contains(
            "folders deep", Assert.Throws<NextPatchException>(() => DatasetReader.OpenParts(folder.Path)).Message, StringComparison.Ordinal);
    }

    private static string[] Order(TemporaryFolder folder, string[] files)
    {
        foreach (var file in files)
        {
            Touch(folder, file);
        }

        using var parts = DatasetReader.OpenParts(folder.Path);
        return [.. Enumerable.Range(0, parts.Train.Count).Select(i => Path.GetRelativePath(folder.Path, parts.Train.PathOf(i)).Replace('\\', '/'))];
    }

    private static void Touch(TemporaryFolder folder, string file)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(folder[file])!);
        File.WriteAllBytes(folder[file], []);
    }
}
