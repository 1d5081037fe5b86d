using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Tokenizer;
using static TorchSharp.torch;

namespace NextPatch.Torch.Tests.Tokenizer;

[NoTensorLeaks]
public sealed class VqTokenizerTests
{
    private static readonly TokenizerConfig Tiny = new()
    {
        ImageSide = 16, CodebookSize = 12, CodeWidth = 4, Channels = [16, 16], BlockCounts = [1, 1],
    };

    [Fact]
    public void Codes_and_images_have_the_promised_shapes_and_ranges()
    {
        using var scope = NewDisposeScope();
        using var tokenizer = new VqTokenizer(Tiny, seed: 1);
        var codes = tokenizer.Encode(ImageTensors.FromPixels(Pixels(3), 16));
        Assert.Equal([3, 16], codes.shape);
        Assert.Equal(ScalarType.Int64, codes.dtype);
        Assert.InRange(codes.min().item<long>(), 0, 11);
        Assert.InRange(codes.max().item<long>(), 0, 11);
        Assert.Equal([3, 3, 16, 16], tokenizer.Decode(codes).shape);
    }

    [Fact]
    public void An_image_does_not_depend_on_how_many_were_asked_for()
    {
        using var scope = NewDisposeScope();
        using var tokenizer = new VqTokenizer(Tiny, seed: 1);
        var images = ImageTensors.FromPixels(Pixels(70), 16);
        var codes = tokenizer.Encode(images);
        var decoded = tokenizer.Decode(codes);
        foreach (var (first, count) in new[] { (0, 1), (1, 2), (3, 8), (64, 6) })
        {
            Assert.Equal(
                codes.narrow(0, first, count).data<long>().ToArray(), tokenizer.Encode(images.narrow(0, first, count)).data<long>().ToArray());
            Assert.Equal(
                decoded.narrow(0, first, count).contiguous().data<float>().ToArray(),
                tokenizer.Decode(codes.narrow(0, first, count)).data<float>().ToArray());
        }
    }

    [Fact]
    public void Bytes_in_and_out_are_the_tensor_way()
    {
        using var scope = NewDisposeScope();
        using var tokenizer = new VqTokenizer(Tiny, seed: 2);
        var pixels = Pixels(66);
        var codes = tokenizer.EncodePixels(pixels);
        var expected = tokenizer.Encode(ImageTensors.FromPixels(pixels, 16));
        Assert.Equal(expected.data<long>().ToArray(), codes.Select(c => (long)c));
        Assert.Equal(ImageTensors.ToPixels(tokenizer.Decode(expected)), tokenizer.DecodePixels(codes));
    }

    [Fact]
    public void A_seed_gives_the_weights()
    {
        using var a = new VqTokenizer(Tiny, seed: 7);
        using var b = new VqTokenizer(Tiny, seed: 7);
        using var c = new VqTokenizer(Tiny, seed: 8);
        Assert.Equal(Bytes(a), Bytes(b));
        Assert.NotEqual(Bytes(a), Bytes(c));
    }

    [Fact]
    public void A_saved_tokenizer_comes_back_bit_for_bit()
    {
        using var folder = new TemporaryFolder();
        using var tokenizer = new VqTokenizer(Tiny, seed: 3);
        tokenizer.SaveTo(folder["tokenizer"]);
        using var loaded = VqTokenizer.Load(folder["tokenizer"]);
        Assert.Equal(Bytes(tokenizer), Bytes(loaded));
        Assert.Equal(Tiny.Channels, loaded.Config.Channels);
        Assert.Equal(Tiny with { Channels = loaded.Config.Channels, BlockCounts = loaded.Config.BlockCounts }, loaded.Config);
    }

    [Fact]
    public void Weights_of_another_size_are_refused()
    {
        using var folder = new TemporaryFolder();
        using var tokenizer = new VqTokenizer(Tiny, seed: 3);
        tokenizer.SaveTo(folder.Path);
        var path = folder["config.json"];
        File.WriteAllText(path, File.ReadAllText(path).Replace("\"codebookSize\": 12", "\"codebookSize\": 13", StringComparison.Ordinal));
        var error = Assert.Throws<NextPatchException>(() => VqTokenizer.Load(folder.Path));
        Assert.Contains("'quantize.embedding.weight' is [12, 4] but the model expects [13, 4]", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_folder_is_named()
        => Assert.Contains("nowhere", Assert.Throws<NextPatchException>(() => VqTokenizer.Load("nowhere")).Message, StringComparison.Ordinal);

    [Fact]
    public void Foreign_input_is_refused_with_the_numbers()
    {
        using var scope = NewDisposeScope();
        using var tokenizer = new VqTokenizer(Tiny, seed: 1);
        Assert.Equal(
            "The tokenizer expects images of shape [N, 3, 16, 16] with N at least 1 but got [1, 3, 8, 8].",
            Assert.Throws<NextPatchException>(() => tokenizer.Encode(zeros(1, 3, 8, 8))).Message);
        Assert.StartsWith(
            "Code 12 is outside the tokenizer's codebook of 12",
            Assert.Throws<NextPatchException>(() => tokenizer.DecodePixels(Enumerable.Repeat(12, 16).ToArray())).Message, StringComparison.Ordinal);
        Assert.StartsWith(
            "15 codes are not a whole number", Assert.Throws<NextPatchException>(() => tokenizer.DecodePixels(new int[15])).Message,
            StringComparison.Ordinal);
    }

    private static byte[] Bytes(VqTokenizer tokenizer) => [.. StateLoader.Capture(tokenizer).SelectMany(p => p.Value.Bytes.ToArray())];

    private static byte[] Pixels(int count) => [.. Enumerable.Range(0, count * 16 * 16 * 3).Select(i => (byte)(i * 2654435761L >> 13))];
}
