using CsCheck;
using NextPatch.Core;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Tensors;
using NextPatch.Data.Codes;

namespace NextPatch.Data.Tests.Codes;

public sealed class CodeStoreTests
{
    private static readonly CodeManifest Manifest = new()
    {
        Name = "toy",
        GridSide = 2,
        VocabularySize = 100,
        ClassNames = ["cat", "dog"],
        TokenizerHash = "abc",
        CropPolicy = "flip",
        ImageSide = 32,
        Count = 3,
        Augmentations = 2,
        HeldOutCount = 1,
    };

    private static readonly int[] Codes = [.. Enumerable.Range(0, 3 * 2 * 4)];

    [Fact]
    public void What_was_written_is_read_back()
        => Gen.Select(
            Gen.Int[1, 5], Gen.Int[1, 3], Gen.Int[1, 40],
            Gen.OneOf(Gen.Const(16), Gen.Const(65_536), Gen.Const(65_537), Gen.Const(1_000_000))).Sample(
            (count, augmentations, side, vocabulary) =>
            {
                using var folder = new TemporaryFolder();
                var manifest = Manifest with
                {
                    Count = count,
                    Augmentations = augmentations,
                    GridSide = side,
                    VocabularySize = vocabulary,
                    HeldOutCount = 0,
                };
                var codes = new int[count * augmentations * side * side];
                for (var i = 0; i < codes.Length; i++)
                {
                    codes[i] = vocabulary - 1 - (i % vocabulary);
                }

                int[] labels = [.. Enumerable.Range(0, count).Select(i => i % 2)];
                CodeStore.Write(folder.Path, manifest, codes, labels);
                using var store = CodeStore.Open(folder.Path);

                store.CheckVocabulary();
                Assert.Equal((count, augmentations, side * side), (store.Count, store.Augmentations, store.CodesPerImage));
                Assert.Equal(labels, Enumerable.Range(0, count).Select(store.Label));
                var read = new int[codes.Length];
                for (var row = 0; row < count * augmentations; row++)
                {
                    store.ReadCodes(row / augmentations, row % augmentations, read.AsSpan(row * side * side, side * side));
                }

                Assert.Equal(codes, read);
            },
            iter: 30);

    [Fact]
    public void Manifest_is_kept_and_no_temporary_file_stays()
    {
        using var folder = Written();
        using var store = CodeStore.Open(folder.Path);
        Assert.Equal(Manifest with { ClassNames = store.Manifest.ClassNames, FileHashes = store.Manifest.FileHashes }, store.Manifest);
        Assert.Equal(Manifest.ClassNames, store.Manifest.ClassNames);
        Assert.Equal(2, store.TrainCount);
        Assert.Equal(
            ["codes.npy", "dataset.json", "labels.npy"],
            Directory.GetFiles(folder.Path).Select(f => Path.GetFileName(f)).Order(StringComparer.Ordinal));
        Assert.Contains("\"vocabularySize\": 100", File.ReadAllText(folder["dataset.json"]), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(65_536, ElementType.UInt16)]
    [InlineData(65_537, ElementType.Int32)]
    public void Codes_are_stored_as_short_as_the_codebook_allows(int vocabulary, ElementType expected)
    {
        using var folder = new TemporaryFolder();
        CodeStore.Write(folder.Path, Manifest with { VocabularySize = vocabulary }, Codes, [0, 1, 0]);
        var array = NpyFile.Read(folder["codes.npy"]);
        Assert.Equal((expected, "[3, 2, 4]"), (array.Type, HostTensor.Describe(array.Shape)));
        Assert.Equal(ElementType.Int32, NpyFile.Read(folder["labels.npy"]).Type);
    }

    [Fact]
    public void Without_manifest_grid_vocabulary_and_classes_are_inferred()
    {
        using var folder = Written();
        File.Delete(folder["dataset.json"]);
        using var store = CodeStore.Open(folder.Path);
        Assert.Equal(
            (2, 24, 2, 3, 2, 0), (store.Manifest.GridSide, store.Manifest.VocabularySize, store.Manifest.ClassNames.Count, store.Count,
            store.Augmentations, store.Manifest.HeldOutCount));
    }

    [Fact]
    public void Code_outside_the_vocabulary_names_image_and_value()
    {
        using var folder = Written();
        EditManifest(folder, "\"vocabularySize\": 100", "\"vocabularySize\": 21");
        using var store = CodeStore.Open(folder.Path);
        Assert.Contains(
            "image 2, variant 1 has code 21 at position 1", Assert.Throws<DataFormatException>(() => store.CheckVocabulary()).Message,
            StringComparison.Ordinal);
        store.ReadCodes(2, 0, new int[4]);
        Assert.Throws<DataFormatException>(() => store.ReadCodes(2, 1, new int[4]));
    }

    [Theory]
    [InlineData("\"gridSide\": 2", "\"gridSide\": 3", "3x3 grid")]
    [InlineData("\"count\": 3", "\"count\": 4", "3 labels but dataset.json says 4 images")]
    [InlineData("\"formatVersion\": 1", "\"formatVersion\": 9", "format version 9")]
    [InlineData("\"heldOutCount\": 1", "\"heldOutCount\": 3", "heldOutCount")]
    [InlineData("\"cat\",", "", "image 1 has label 1, but there are 1 classes")]
    [InlineData("\"name\": \"toy\",", "", "is not a code manifest")]
    [InlineData("\"name\": \"toy\"", "\"name\": null", "is not a code manifest")]
    [InlineData("{", "", "is not a code manifest")]
    public void Manifest_that_disagrees_is_an_error_that_says_where(string original, string replacement, string expected)
    {
        using var folder = Written();
        EditManifest(folder, original, replacement);
        Assert.Contains(expected, Assert.Throws<DataFormatException>(() => CodeStore.Open(folder.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_truncation_of_the_codes_is_an_error()
    {
        using var folder = Written();
        var path = folder["codes.npy"];
        var bytes = File.ReadAllBytes(path);
        for (var length = 0; length < bytes.Length; length++)
        {
            File.WriteAllBytes(path, bytes[..length]);
            Assert.Contains(path, Assert.Throws<DataFormatException>(() => CodeStore.Open(folder.Path)).Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("codes.npy")]
    [InlineData("labels.npy")]
    public void Missing_file_is_named(string name)
    {
        using var folder = Written();
        File.Delete(folder[name]);
        Assert.Contains(folder[name], Assert.Throws<NextPatchException>(() => CodeStore.Open(folder.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Missing_folder_says_so()
        => Assert.StartsWith(
            "Code folder '/nowhere/at/all' does not exist", Assert.Throws<NextPatchException>(() => CodeStore.Open("/nowhere/at/all")).Message,
            StringComparison.Ordinal);

    [Fact]
    public void A_folder_without_codes_says_what_to_look_for()
    {
        using var folder = new TemporaryFolder();
        Assert.StartsWith(
            $"'{folder["codes.npy"]}' does not exist, nor a pair of published folders",
            Assert.Throws<NextPatchException>(() => CodeStore.Open(folder.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Other_element_types_are_refused_with_advice()
    {
        using var folder = Written();
        NpyFile.Write(folder["codes.npy"], HostTensor.From<long>(ElementType.Int64, [3, 2, 4], new long[24]));
        Assert.Contains("astype", Assert.Throws<DataFormatException>(() => CodeStore.Open(folder.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Codes_that_do_not_fit_the_manifest_are_not_written()
    {
        using var folder = new TemporaryFolder();
        Assert.Throws<ArgumentException>(() => CodeStore.Write(folder.Path, Manifest, Codes.AsSpan(1), [0, 1, 0]));
        Assert.Throws<ArgumentException>(() => CodeStore.Write(folder.Path, Manifest with { VocabularySize = 23 }, Codes, [0, 1, 0]));
        Assert.Throws<ArgumentException>(() => CodeStore.Write(folder.Path, Manifest, Codes, [0, 2, 0]));
        Assert.Empty(Directory.GetFiles(folder.Path));
    }

    [Fact]
    public void Changed_and_missing_files_are_found_by_their_hashes()
    {
        using var folder = new TemporaryFolder();
        CodeStore.Write(folder.Path, Manifest, Codes, [0, 1, 1]);
        using (var store = CodeStore.Open(folder.Path))
        {
            Assert.Empty(store.FindChangedFiles(TestContext.Current.CancellationToken)!);
        }

        var bytes = File.ReadAllBytes(folder["codes.npy"]);
        bytes[^1] ^= 1;
        File.WriteAllBytes(folder["codes.npy"], bytes);
        using var changed = CodeStore.Open(folder.Path);
        File.Delete(folder["labels.npy"]);
        Assert.Equal(
            ["codes.npy: SHA-256", "labels.npy: missing"],
            changed.FindChangedFiles(TestContext.Current.CancellationToken)!.Select(c => c[..Math.Min(c.Length, 18 + (c[0] == 'l' ? 1 : 0))].Trim()));
    }

    private static TemporaryFolder Written()
    {
        var folder = new TemporaryFolder();
        CodeStore.Write(folder.Path, Manifest, Codes, [0, 1, 0]);
        return folder;
    }

    private static void EditManifest(TemporaryFolder folder, string original, string replacement)
    {
        var text = File.ReadAllText(folder["dataset.json"]);
        var at = text.IndexOf(original, StringComparison.Ordinal);
        Assert.True(at >= 0, text);
        File.WriteAllText(folder["dataset.json"], text[..at] + replacement + text[(at + original.Length)..]);
    }
}
