using NextPatch.Cli.Tests;
using NextPatch.Core;
using NextPatch.Core.Imaging;
using NextPatch.Data.Codes;

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
