using System.Diagnostics;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using NextPatch.Core;
using NextPatch.Core.Imaging;
using NextPatch.Evaluation.Clip;
using NextPatch.Evaluation.Tests.Networks;
using NextPatch.Torch.Perception;

namespace NextPatch.Evaluation.Tests.Clip;

[NoTensorLeaks]
public sealed class ClipTests : IDisposable
{
    private static readonly string[] Merges = ["#version: 0.2", "p h", "ph o", "t o</w>", "pho to</w>", "d e", "de p", "a b", "ab c</w>", "Ġ x"];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>Without merges the ids of signs are the published ones: "!" is 0, "a" at a word's end 320.</summary>
    [Fact]
    public void Ids_are_the_places_of_bytes_and_merges()
    {
        var tokenizer = Tokenizer();
        Assert.Equal((512 + 9, 512 + 10), (tokenizer.Begin, tokenizer.End));
        Assert.Equal([320], tokenizer.Encode("A"));
        Assert.Equal([0, 256 + 1], tokenizer.Encode("!\""));
        Assert.Equal([512 + 3], tokenizer.Encode("  PHOTO "));
        Assert.Equal([512 + 6, 320], tokenizer.Encode("aba")); // "a b" is joined, "ab" and "a</w>" are not
        Assert.Equal([512 + 7], tokenizer.Encode("abc"));
        Assert.Equal(
            [.. tokenizer.Encode("abc"), .. tokenizer.Encode("'s"), .. tokenizer.Encode("1"), .. tokenizer.Encode("2")], tokenizer.Encode("abc's12"));
        Assert.Equal(tokenizer.Encode("a & b"), tokenizer.Encode("a &amp;amp; b"));
        Assert.Equal(tokenizer.Encode("fi"), tokenizer.Encode("ﬁ"));
        // é is two bytes, C3 A9: the 100th and the 74th visible ones beyond 0xA0.
        Assert.Equal([127, 256 + 102], tokenizer.Encode("é"));
    }

    [Fact]
    public void The_prefix_pushes_the_end_of_a_long_text_out_and_the_last_place_stays_the_ends()
    {
        var tokenizer = Tokenizer();
        var prefix = tokenizer.Encode("A photo depicts ").Take(3).ToArray(); // a, photo, and of this vocabulary a piece of depicts
        var empty = ClipScore.WithPrefix(tokenizer, "", 10, out var isCut);
        Assert.Equal([tokenizer.Begin, .. prefix, tokenizer.End, 0, 0, 0, 0, 0], empty);
        Assert.False(isCut);

        var whole = ClipScore.WithPrefix(tokenizer, "a a a a a", 10, out isCut);
        Assert.Equal([tokenizer.Begin, .. prefix, 320, 320, 320, 320, 320, tokenizer.End], whole);
        Assert.False(isCut);

        var cut = ClipScore.WithPrefix(tokenizer, "a a a a a !", 10, out isCut);
        Assert.Equal([tokenizer.Begin, .. prefix, 320, 320, 320, 320, 320, tokenizer.End], cut);
        Assert.True(isCut);
    }

    [Theory]
    [InlineData("a b c")]
    [InlineData("p h")] // twice
    [InlineData("")]
    [InlineData("lonely")]
    public void A_line_that_is_no_new_merge_is_named(string line)
    {
        File.WriteAllLines(_folder["merges.txt"], [.. Merges[..3], line, .. Merges[3..]]);
        var error = Assert.Throws<DataFormatException>(() => ClipTokenizer.Open(_folder["merges.txt"], 512 + 12));
        Assert.Contains("line 4", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(512 + 20)]
    [InlineData(100)]
    public void Merges_that_do_not_fit_the_weights_are_refused(int vocabulary)
    {
        File.WriteAllLines(_folder["merges.txt"], Merges);
        var error = Assert.Throws<DataFormatException>(() => ClipTokenizer.Open(_folder["merges.txt"], vocabulary));
        Assert.Contains("do not belong together", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_published_packed_list_is_read_and_a_damaged_one_refused()
    {
        var path = WriteMerges("bpe_simple_vocab_16e6.txt.gz", string.Join('\n', Merges) + "\nmore than the weights have");

        Assert.Equal([512 + 3], ClipTokenizer.Open(path, 512 + 11).Encode("photo"));
        File.WriteAllBytes(path, [31, 139, 8, 0, 1, 2, 3]);
        Assert.Throws<DataFormatException>(() => ClipTokenizer.Open(path, 512 + 11));
    }

    [Theory]
    [InlineData("merges.txt")]
    [InlineData("bpe_simple_vocab_16e6.txt.gz")]
    public void Changed_lists_of_merges_are_read_or_refused(string name)
    {
        WriteMerges(name, string.Join('\n', Merges));
        HostileBytes.Read(_folder[name], () =>
        {
            var tokenizer = ClipTokenizer.Open(_folder[name], 512 + 11);
            Assert.All(tokenizer.Encode("a photo of an abc"), id => Assert.InRange(id, 0, tokenizer.Begin - 1));
        });
    }

    /// <summary>A megabyte that unpacks to gigabytes of one line must not be unpacked whole.</summary>
    [Fact]
    public void A_packed_list_of_one_endless_line_is_refused_in_little_memory()
    {
        const string Name = "bpe_simple_vocab_16e6.txt.gz";
        using (var packed = new GZipStream(File.Create(_folder[Name]), CompressionLevel.Fastest))
        {
            var blanks = new byte[1 << 20];
            Array.Fill(blanks, (byte)'a');
            for (var i = 0; i < 300; i++)
            {
                packed.Write(blanks);
            }
        }

        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Throws<DataFormatException>(() => ClipTokenizer.Open(_folder[Name], 512 + 11));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 50_000_000);
    }

    /// <summary>Only 77 ids are read of a prompt; the rest must not cost the square of its length.</summary>
    [Fact]
    public void A_prompt_of_ten_megabytes_is_cut_at_once()
    {
        var random = new Random(1);
        var word = string.Concat(Enumerable.Range(0, 10_000_000).Select(_ => (char)('a' + random.Next(26))));
        var letters = Enumerable.Range('a', 26).Select(c => (char)c).ToList();
        var pairs = letters.SelectMany(a => letters.Select(b => $"{a} {b}"));
        var tokenizer = ClipTokenizer.Open(WriteMerges("merges.txt", "#version\n" + string.Join('\n', pairs)), 512 + 676 + 2);
        var start = Stopwatch.GetTimestamp();
        var ids = tokenizer.Encode(word, 77, out var isCut);
        Assert.True(isCut);
        Assert.Equal(77, ids.Length);
        Assert.True(Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(30));
    }

    /// <summary>Bytes of Pillow 9.4 and NumPy 1.24 for the same pixels (torchvision's crop and conversions written out).</summary>
    [Theory]
    [InlineData(301, 200, "8b7c8ea71cc9ef56")]
    [InlineData(640, 427, "1b82fbe2b473293e")]
    [InlineData(256, 256, "cf0783abb95d3562")]
    [InlineData(90, 131, "6714b26a2abda382")]
    public void Images_are_prepared_as_published(int width, int height, string expected)
    {
        const int Side = 224;
        float[] means = [0.48145466f, 0.4578275f, 0.40821073f], deviations = [0.26862954f, 0.26130258f, 0.27577711f];
        var planes = new float[3 * Side * Side];
        ClipImages.Prepare(Picture(width, height), Side, planes);
        var levels = new byte[planes.Length];
        for (var i = 0; i < Side * Side; i++)
        {
            for (var channel = 0; channel < 3; channel++)
            {
                levels[(3 * i) + channel] = (byte)MathF.Round(((planes[(channel * Side * Side) + i] * deviations[channel]) + means[channel]) * 255);
            }
        }

        Assert.Equal(expected, Convert.ToHexStringLower(SHA256.HashData(levels))[..16]);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Points_of_images_and_texts_equal_float64(bool isPublished)
    {
        var tensors = ClipFormula.Tensors();
        var named = isPublished ? tensors : ClipFormula.InTransformersNames(tensors);
        using var network = new ClipNetwork(new PretrainedWeights(named, "formula", "CLIP"));
        Assert.Equal((32, 12, ClipFormula.Vocabulary), (network.Side, network.Length, network.Vocabulary));

        var planes = Enumerable.Range(0, 2 * 3 * 32 * 32).Select(i => FormulaTensors.Value(5, (uint)i)).ToArray();
        int[] ids = [521, 3, 200, 522, 0, 0, 0, 0, 0, 0, 0, 0, 521, 320, 77, 400, 12, 9, 511, 100, 4, 4, 300, 522];
        AssertClose(ClipFormula.Image(tensors, planes), network.EncodeImages(planes));
        AssertClose(ClipFormula.Text(tensors, ids), network.EncodeTexts(ids));
    }

    [Theory]
    [InlineData("visual.proj")]
    [InlineData("transformer.resblocks.1.ln_2.bias")]
    [InlineData("token_embedding.weight")]
    public void Weights_that_lack_something_are_refused(string key)
    {
        var tensors = ClipFormula.Tensors();
        tensors.Remove(key);
        var error = Assert.Throws<DataFormatException>(() => new ClipNetwork(new PretrainedWeights(tensors, "here", "CLIP")));
        Assert.Contains(key, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_score_is_the_mean_cosine_in_the_order_of_numbers_in_names()
    {
        Write();
        Directory.CreateDirectory(_folder["images"]);
        foreach (var number in (int[])[2, 10, 1])
        {
            Picture(40 + number, 50).SavePng(_folder[$"images/{number}.png"]);
        }

        File.WriteAllLines(_folder["prompts.txt"], ["a photo", "abc", new string('b', 40), "one more than there are images"]);
        var score = ClipScore.Measure(_folder["images"], _folder["prompts.txt"], _folder["clip.safetensors"]);

        var expected = new double[3];
        using var network = new ClipNetwork(new PretrainedWeights(ClipFormula.Tensors(), "formula", "CLIP"));
        foreach (var (i, (number, prompt)) in new[] { (1, "a photo"), (2, "abc"), (10, new string('b', 40)) }.Index())
        {
            var planes = new float[3 * 32 * 32];
            ClipImages.Prepare(Picture(40 + number, 50), 32, planes);
            float[] image = network.EncodeImages(planes), text = network.EncodeTexts(ClipScore.WithPrefix(Tokenizer(), prompt, 12, out _));
            expected[i] = image.Zip(text, (a, b) => (double)a * b).Sum()
                / Math.Sqrt(image.Sum(a => (double)a * a) * text.Sum(b => (double)b * b));
        }

        Assert.Equal(expected.Average(), score.ClipScore, 6);
        Assert.Equal((3, 1), (score.Images, score.CutPrompts));
        Assert.True(score.StandardError > 0);

        File.WriteAllLines(_folder["prompts.txt"], ["a", "b"]);
        Assert.Contains("2 prompts", Assert.Throws<ConfigException>(
            () => ClipScore.Measure(_folder["images"], _folder["prompts.txt"], _folder["clip.safetensors"])).Message, StringComparison.Ordinal);
        File.Delete(_folder["merges.txt"]);
        Assert.Contains("merges.txt", Assert.Throws<NextPatchException>(
            () => ClipScore.Measure(_folder["images"], _folder["prompts.txt"], _folder["clip.safetensors"])).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("2.png", "10.png", -1)]
    [InlineData("b/2.png", "a/10.png", 1)]
    [InlineData("02.png", "2.png", 0)]
    [InlineData("2a", "2", 1)]
    [InlineData("000007.png", "000008.png", -1)]
    public void Names_are_ordered_by_the_numbers_in_them(string a, string b, int expected)
        => Assert.Equal((expected, -expected), (Math.Sign(ClipImageList.Natural(a, b)), Math.Sign(ClipImageList.Natural(b, a))));

    private void Write()
    {
        FormulaNetworks.Save(_folder["clip.safetensors"], ClipFormula.Tensors());
        File.WriteAllLines(_folder["merges.txt"], Merges);
    }

    private string WriteMerges(string name, string lines)
    {
        using Stream file = File.Create(_folder[name]);
        using var packed = name.EndsWith(".gz", StringComparison.Ordinal) ? new GZipStream(file, CompressionLevel.Fastest) : file;
        packed.Write(Encoding.UTF8.GetBytes(lines));
        return _folder[name];
    }

    private ClipTokenizer Tokenizer()
    {
        File.WriteAllLines(_folder["merges.txt"], Merges);
        return ClipTokenizer.Open(_folder["merges.txt"], 512 + 11);
    }

    private static RgbImage Picture(int width, int height)
    {
        var pixels = new byte[width * height * 3];
        for (var i = 0; i < width * height; i++)
        {
            var (x, y) = (i % width, i / width);
            pixels[3 * i] = (byte)((x * 7) + (y * 3));
            pixels[(3 * i) + 1] = (byte)((x * x / 5) + (y * 11));
            pixels[(3 * i) + 2] = (byte)((x * y / 7) + 40);
        }

        return new RgbImage(width, height, pixels);
    }

    private static void AssertClose(double[] expected, float[] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        var scale = expected.Max(Math.Abs);
        Assert.All(expected.Zip(actual), p => Assert.InRange(Math.Abs(p.First - p.Second), 0, 2e-5 * scale));
    }
}
