using NextPatch.Cli.Tests;
using NextPatch.Core;
using NextPatch.Core.Imaging;
using NextPatch.Data.Codes;
using NextPatch.Data.Sources;

namespace NextPatch.Tests;

[NoTensorLeaks]
public sealed class CodeExtractorTests
{
    [Fact]
    public void A_folder_is_encoded_and_continued_and_its_codes_are_those_of_the_tokenizer()
    {
        using var folder = Pictures(7);
        var options = new CodeExtractionOptions { Images = folder["set"], Tokenizer = folder["tokenizer"], Output = folder["codes"], BatchSize = 2 };
        var notes = new List<string>();
        using var stop = new CancellationTokenSource();
        Assert.ThrowsAny<OperationCanceledException>(
            () => CodeExtractor.Run(options, new Told<CodeExtractionProgress>(p => stop.Cancel()), cancellation: stop.Token));

        var result = CodeExtractor.Run(options, note: notes.Add);

        Assert.Equal((7, "store", "fp32", 2), (result.Count, result.Layout, result.Precision, result.BatchSize));
        Assert.InRange(result.ResumedAt, 1, 6);
        Assert.Contains(notes, note => note.StartsWith("Continuing after image", StringComparison.Ordinal));
        using var store = CodeStore.Open(folder["codes"]);
        using var tokenizer = ImageTokenizer.Load(folder["tokenizer"]);
        for (var i = 0; i < 7; i++)
        {
            var codes = new int[store.CodesPerImage];
            store.ReadCodes(i, 0, codes);
            Assert.Equal(tokenizer.Encode(Picture(i)), codes);
        }
    }

    /// <summary>By paths that end as the images' do; stopped and continued, with an image that is too small and one that no line names.</summary>
    [Fact]
    public void Codes_remember_the_lines_of_captions()
    {
        using var folder = Pictures(7);
        new RgbImage(8, 4).SavePng(folder["set/a/02.png"]);
        File.WriteAllLines(folder["captions.jsonl"], [
            """{"image_path": "a/05.png", "text": "five"}""", "", """{"image_path": "/elsewhere/a/00.png", "text": "another folder's"}""",
            .. new[] { 6, 2, 1, 3, 0 }.Select(i => $$"""{"image_path": "a/{{i:D2}}.png", "text": "{{i}}"}"""),
            """{"image_path": "0/05.png", "text": "no"}"""]);
        var options = new CodeExtractionOptions
        {
            Images = folder["set"], Tokenizer = folder["tokenizer"], Output = folder["codes"], BatchSize = 2, Captions = folder["captions.jsonl"],
            SmallestSide = 8, OnError = OnBadImage.Skip,
        };
        var notes = new List<string>();
        using var stop = new CancellationTokenSource();
        Assert.ThrowsAny<OperationCanceledException>(
            () => CodeExtractor.Run(options, new Told<CodeExtractionProgress>(p => stop.Cancel()), cancellation: stop.Token));

        var result = CodeExtractor.Run(options, note: notes.Add);

        using (var store = CodeStore.Open(folder["codes"]))
        {
            Assert.Equal([7, 5, 6, -1, 0, 3], Enumerable.Range(0, store.Count).Select(store.CaptionLine)); // images 0, 1, 3, 4, 5, 6
            Assert.Equal([KeyValuePair.Create("captions", 9)], store.Manifest.Captions!.Files);
        }

        Assert.Contains("too small: 8x4", Assert.Single(result.Skipped).Reason, StringComparison.Ordinal);
        Assert.Contains(notes, note => note.StartsWith("1 of the images have no line in", StringComparison.Ordinal));
        File.WriteAllText(folder["codes/captions.npy"], "damaged");
        Assert.Throws<DataFormatException>(() => CodeStore.Open(folder["codes"]));
        File.WriteAllText(folder["captions.jsonl"], """{"image_path": "b/05.png", "text": "five"}""");
        Assert.Contains(
            "names one of the 7 images", Assert.Throws<NextPatchException>(() => CodeExtractor.Run(options with { Output = folder["no"] })).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Wrong_options_are_named_as_properties()
    {
        var error = Assert.Throws<ConfigException>(
            () => CodeExtractor.Run(
                new CodeExtractionOptions { Images = "x", Tokenizer = "y", Output = "z", BatchSize = 0, HeldOut = 1, Crops = "twelve" }));

        Assert.Equal(3, error.Problems.Count);
        Assert.All(["BatchSize 0", "HeldOut 1", "Crops 'twelve'"], text => Assert.Contains(text, error.Message, StringComparison.Ordinal));
        Assert.DoesNotContain("--", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_tokenizer_gives_an_image_back_and_says_when_it_is_gone()
    {
        using var folder = Pictures(1);
        var tokenizer = ImageTokenizer.Load(folder["tokenizer"]);
        var file = Directory.GetFiles(folder["set/a"])[0];

        var back = tokenizer.Reconstruct(file);

        Assert.Equal((8, 8, 2, 32), (back.Width, back.Height, tokenizer.GridSide, tokenizer.CodebookSize));
        Assert.Equal(tokenizer.Decode(tokenizer.Encode(Picture(0))).Pixels, back.Pixels);
        Assert.Contains("4 codes", Assert.Throws<NextPatchException>(() => tokenizer.Decode(new int[3])).Message, StringComparison.Ordinal);
        tokenizer.Dispose();
        Assert.Throws<ObjectDisposedException>(() => tokenizer.Reconstruct(file));
        Assert.Throws<ObjectDisposedException>(() => tokenizer.ImageSize);
    }

    private static TemporaryFolder Pictures(int count)
    {
        var folder = new TemporaryFolder();
        SmallModel.Write(folder);
        Directory.CreateDirectory(folder["set/a"]);
        for (var i = 0; i < count; i++)
        {
            Picture(i).SavePng(folder[$"set/a/{i:D2}.png"]);
        }

        return folder;
    }

    private static RgbImage Picture(int seed)
    {
        var image = new RgbImage(8, 8);
        new Random(seed).NextBytes(image.Pixels);
        return image;
    }

    private sealed class Told<T>(Action<T> action) : IProgress<T>
    {
        public void Report(T value) => action(value);
    }
}
