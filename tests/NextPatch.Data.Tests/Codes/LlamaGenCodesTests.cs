using NextPatch.Core;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Tensors;
using NextPatch.Data.Codes;

namespace NextPatch.Data.Tests.Codes;

public sealed class LlamaGenCodesTests
{
    [Fact]
    public void What_was_written_is_read_as_a_store()
    {
        using var folder = new TemporaryFolder();
        Write(folder.Path, count: 12, variants: 2, first: 100);
        using var store = CodeStore.Open(folder.Path);
        Assert.Equal((12, 2, 9, 3), (store.Count, store.Augmentations, store.CodesPerImage, store.Manifest.GridSide));
        Assert.Equal(("flip", 16384, 3), (store.Manifest.CropPolicy, store.Manifest.VocabularySize, store.Manifest.ClassNames.Count));
        Assert.Equal(11 % 3, store.Label(11));
        var codes = new int[9];
        store.ReadCodes(11, 1, codes);
        Assert.Equal(Enumerable.Range(100 + (11 * 18) + 9, 9), codes);
        store.CheckVocabulary(TestContext.Current.CancellationToken);
    }

    [Fact]
    public void Files_are_what_numpy_saves()
    {
        using var folder = new TemporaryFolder();
        new LlamaGenCodeWriter(folder.Path, "imagenet256").Write(3, [1, 2, 3, 4], variants: 2, label: 7);
        var codes = NpyFile.Read(folder["imagenet256_codes/3.npy"]);
        Assert.Equal((ElementType.Int64, "[1, 2, 2]"), (codes.Type, HostTensor.Describe(codes.Shape)));
        Assert.Equal([1L, 2, 3, 4], codes.ToInt64());
        var label = NpyFile.Read(folder["imagenet256_labels/3.npy"]);
        Assert.Equal((ElementType.Int64, "[1]", 7L), (label.Type, HostTensor.Describe(label.Shape), label.ToInt64()[0]));
        Assert.Equal(["3.npy"], Directory.GetFiles(folder["imagenet256_codes"]).Select(f => Path.GetFileName(f)));
    }

    [Fact]
    public void Folder_of_the_codes_itself_may_be_named()
    {
        using var folder = new TemporaryFolder();
        Write(folder.Path, count: 2, variants: 1, first: 0);
        using var store = CodeStore.Open(folder["toy_codes"]);
        Assert.Equal((2, "none"), (store.Count, store.Manifest.CropPolicy));
    }

    [Fact]
    public void Ten_crops_of_both_ranges_are_twenty_variants()
    {
        using var folder = new TemporaryFolder();
        Write(folder["x_ten_crop"], count: 2, variants: 10, first: 0);
        Write(folder["x_ten_crop_105"], count: 2, variants: 10, first: 5000);
        using var store = CodeStore.Open(folder["x_ten_crop"]);
        Assert.Equal((20, "ten-crop 1.1 and 1.05"), (store.Augmentations, store.Manifest.CropPolicy));
        var codes = new int[9];
        store.ReadCodes(1, 3, codes);
        Assert.Equal(90 + 27, codes[0]);
        store.ReadCodes(1, 13, codes);
        Assert.Equal(5000 + 90 + 27, codes[0]);
        store.CheckVocabulary(TestContext.Current.CancellationToken);
        using var alone = CodeStore.Open(folder["x_ten_crop_105"]);
        Assert.Equal(10, alone.Augmentations);
    }

    [Fact]
    public void Manifest_beside_the_files_has_the_last_word()
    {
        using var folder = new TemporaryFolder();
        Write(folder.Path, count: 3, variants: 1, first: 0);
        File.WriteAllText(
            folder["dataset.json"],
            """{"formatVersion": 1, "augmentations": 1, "cropPolicy": "none", "name": "toy", "gridSide": 3, "vocabularySize": 50, """
            + """ "classNames": ["a", "b", "c"], "count": 3}""");
        using var store = CodeStore.Open(folder.Path);
        Assert.Equal((50, "c"), (store.Manifest.VocabularySize, store.Manifest.ClassNames[2]));
    }

    [Fact]
    public void Gaps_foreign_shapes_and_wrong_numbers_are_named()
    {
        using var folder = new TemporaryFolder();
        Write(folder.Path, count: 4, variants: 1, first: 0);
        var path = folder["toy_codes/2.npy"];
        NpyFile.Write(path, HostTensor.From<long>(ElementType.Int64, [1, 1, 4], [1L, 2, 3, 4]));
        Assert.Contains("2.npy' has shape [1, 1, 4]", Fail(folder), StringComparison.Ordinal);
        NpyFile.Write(path, HostTensor.FromSingles([1, 1, 9], new float[9]));
        Assert.Contains("expected integer codes", Fail(folder), StringComparison.Ordinal);
        NpyFile.Write(path, HostTensor.From<long>(ElementType.Int64, [1, 1, 9], [1L << 40, 0, 0, 0, 0, 0, 0, 0, 0]));
        Assert.Contains("code -1", Fail(folder), StringComparison.Ordinal);
        File.WriteAllBytes(path, [1, 2, 3]);
        Assert.Contains("2.npy'", Fail(folder), StringComparison.Ordinal);
        File.Delete(path);
        Assert.Contains("lacks 2.npy", Fail(folder), StringComparison.Ordinal);
        File.Delete(folder["toy_codes/3.npy"]);
        Assert.Contains("expected as many", Fail(folder), StringComparison.Ordinal);
    }

    private static string Fail(TemporaryFolder folder) => Assert.Throws<DataFormatException>(() =>
    {
        using var store = CodeStore.Open(folder.Path);
        store.CheckVocabulary(TestContext.Current.CancellationToken);
    }).Message;

    /// <summary>3x3 codes counted up from <paramref name="first"/>, labels i mod 3.</summary>
    private static void Write(string folder, int count, int variants, int first)
    {
        var writer = new LlamaGenCodeWriter(folder, "toy");
        for (var i = 0; i < count; i++)
        {
            writer.Write(i, [.. Enumerable.Range(first + (i * variants * 9), variants * 9)], variants, i % 3);
        }
    }
}
