using System.Runtime.Intrinsics.X86;
using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Core.Tensors;
using NextPatch.Cpu.Tests.Kernels;
using NextPatch.Cpu.Tokenizer;
using NextPatch.Kernels.Simd;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Tokenizer;
using TorchSharp;

namespace NextPatch.Cpu.Tests.Tokenizer;

[NoTensorLeaks]
public sealed class CpuTokenizerTests
{
    private static readonly TokenizerConfig Small = new() { Channels = [32, 48], BlockCounts = [1, 2] };

    private static readonly TokenizerConfig Vqgan = new()
    {
        Architecture = TokenizerArchitecture.Vqgan, ImageSide = 24, DownsamplingFactor = 4, CodebookSize = 50, CodeWidth = 8,
        Channels = [32, 32, 64], BlockCounts = [1, 1, 1], LatentChannels = 32,
    };

    public CpuTokenizerTests() => NativeBackend.EnsureLoaded();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Pixels_are_those_of_TorchSharp(bool isVqgan)
    {
        var config = isVqgan ? Vqgan : Small;
        using var tokenizer = Create(config);
        using var decoder = Open(tokenizer);
        var codes = Codes(config, 3);
        var (expected, actual) = (tokenizer.DecodePixels(codes), decoder.Decode(codes));
        Assert.Equal(expected.Length, actual.Length);
        Assert.InRange(expected.Distinct().Count(), 20, 256); // a picture, not a plane
        Assert.All(expected.Zip(actual), p => Assert.InRange(p.Second - p.First, -1, 1));
        Assert.InRange(expected.Zip(actual).Count(p => p.First != p.Second), 0, expected.Length / 100);
    }

    [Theory]
    [InlineData(false, 1)]
    [InlineData(false, 5)]
    [InlineData(true, 1)]
    [InlineData(true, 4)]
    public void First_rows_are_those_of_TorchSharp_with_the_last_one_once_more_below(bool isVqgan, int rows)
    {
        var config = isVqgan ? Vqgan : Small;
        using var tokenizer = Create(config);
        using var decoder = Open(tokenizer);
        var codes = Codes(config, 1)[..(rows * config.GridSide)];
        using var scope = torch.NewDisposeScope();
        var shown = torch.tensor(codes.Concat(codes[^config.GridSide..]).Select(c => (long)c).ToArray(), [1, codes.Length + config.GridSide]);
        var image = tokenizer.Render(tokenizer.Lookup(shown, rows + 1, config.GridSide))[0].permute(1, 2, 0);
        var bytes = ((image * 127.5) + 128).clamp(0, 255).to(torch.uint8).contiguous().data<byte>().ToArray();
        var expected = bytes[..(codes.Length * config.DownsamplingFactor * config.DownsamplingFactor * 3)];
        var actual = decoder.DecodeRows(codes);
        Assert.Equal(expected.Length, actual.Length);
        Assert.All(expected.Zip(actual), p => Assert.InRange(p.Second - p.First, -1, 1));
        Assert.InRange(expected.Zip(actual).Count(p => p.First != p.Second), 0, expected.Length / 100);
    }

    [Fact]
    public void All_rows_are_the_image_and_parts_of_rows_are_refused()
    {
        using var tokenizer = Create(Small);
        using var decoder = Open(tokenizer);
        var codes = Codes(Small, 1);
        Assert.Equal(decoder.Decode(codes), decoder.DecodeRows(codes));
        using IImageTokenizer plain = new TorchTokenizer(tokenizer);
        Assert.Equal(decoder.Decode(codes).Length / 2, plain.DecodeRows(codes.AsMemory(0, codes.Length / 2)).Length);
        foreach (var length in new[] { 0, 3, codes.Length + Small.GridSide })
        {
            var part = new int[length];
            Assert.Contains("rows", Assert.Throws<NextPatchException>(() => decoder.DecodeRows(part)).Message, StringComparison.Ordinal);
            Assert.Contains("rows", Assert.Throws<NextPatchException>(() => plain.DecodeRows(part)).Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Images_are_the_same_with_any_width_of_vectors(bool isVqgan)
    {
        var config = isVqgan ? Vqgan : Small;
        using var tokenizer = Create(config);
        using var decoder = Open(tokenizer);
        var codes = Codes(config, 1);
        var plain = decoder.Render<Simd1>(codes, default);
        Widths.AssertClose(plain, decoder.Render<Simd4>(codes, default), 1e-5);
        Widths.AssertClose(plain, decoder.Render<Simd8>(codes, default), 1e-5);
        if (Avx512F.IsSupported)
        {
            Widths.AssertClose(plain, decoder.Render<Simd16>(codes, default), 1e-5);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Codes_are_those_of_TorchSharp(bool isVqgan)
    {
        var config = isVqgan ? Vqgan : Small;
        using var tokenizer = Create(config);
        using var managed = Open(tokenizer);
        var size = config.ImageSide * config.ImageSide * 3;
        byte[] pixels = [.. Enumerable.Range(0, 3 * size).Select(i => (byte)((i * 31) + (i / size * 77) + (i * (long)i % 191)))];
        var (expected, actual) = (tokenizer.EncodePixels(pixels), new int[3 * config.CodesPerImage]);
        managed.Encode(pixels, actual);
        Assert.InRange(expected.Distinct().Count(), 5, config.CodebookSize);
        Assert.Equal(expected, actual);
        Assert.Equal(actual[..config.CodesPerImage], managed.Search<Simd1>(pixels.AsSpan(0, size), default));
        Assert.Throws<ArgumentException>(() => managed.Encode(pixels.AsSpan(1), actual));
    }

    [Fact]
    public void Codes_of_a_codebook_off_the_unit_sphere_are_the_nearest()
    {
        using var tokenizer = Create(Vqgan with { NormalizeCodes = false });
        using var managed = Open(tokenizer);
        byte[] pixels = [.. Enumerable.Range(0, 24 * 24 * 3).Select(i => (byte)(i * (long)i % 251))];
        var actual = new int[Vqgan.CodesPerImage];
        managed.Encode(pixels, actual);
        Assert.Equal(tokenizer.EncodePixels(pixels), actual);
    }

    [Fact]
    public void Planes_are_the_image_before_it_is_rounded()
    {
        using var tokenizer = Create(Small);
        using var managed = Open(tokenizer);
        Widths.AssertClose(tokenizer.DecodePlanes(Codes(Small, 2)), managed.DecodePlanes(Codes(Small, 2)), 1e-4);
    }

    [Fact]
    public void An_image_does_not_depend_on_those_before_it()
    {
        using var tokenizer = Create(Vqgan);
        using var decoder = Open(tokenizer);
        var (codes, size) = (Codes(Vqgan, 3), Vqgan.ImageSide * Vqgan.ImageSide * 3);
        Assert.Equal(decoder.Decode(codes)[^size..], decoder.Decode(codes.AsMemory(codes.Length - Vqgan.CodesPerImage)));
    }

    [Fact]
    public void Weights_and_codes_that_do_not_fit_are_named()
    {
        using var tokenizer = Create(Small);
        var state = StateLoader.Capture(tokenizer).ToDictionary(p => p.Key, p => StoredTensor.From(p.Value));
        var error = Assert.Throws<NextPatchException>(() => CpuTokenizer.Open(state, Small with { Channels = [32, 64] }, "here", null, 1));
        Assert.Contains("here", error.Message, StringComparison.Ordinal);
        Assert.Contains(
            "'decoder.conv_in.weight' is Float32 [48, 8, 3, 3] but the tokenizer expects [64, 8, 3, 3]", error.Message, StringComparison.Ordinal);
        using var decoder = Open(tokenizer);
        Assert.Contains(
            "Code 128", Assert.Throws<NextPatchException>(() => decoder.Decode(new int[] { 128 }.Concat(new int[63]).ToArray())).Message,
            StringComparison.Ordinal);
        Assert.Contains("65 codes", Assert.Throws<NextPatchException>(() => decoder.Decode(new int[65])).Message, StringComparison.Ordinal);
        using var cancellation = new CancellationTokenSource();
        cancellation.Cancel();
        Assert.Throws<OperationCanceledException>(() => decoder.Decode(new int[64], cancellation.Token));
    }

    private static VqTokenizer Create(TokenizerConfig config)
    {
        var tokenizer = new VqTokenizer(config, seed: 1);
        tokenizer.eval();
        return tokenizer;
    }

    private static CpuTokenizer Open(VqTokenizer tokenizer)
        => CpuTokenizer.Open(
            StateLoader.Capture(tokenizer).ToDictionary(p => p.Key, p => StoredTensor.From(p.Value)), tokenizer.Config, "test", null, 2);

    private static int[] Codes(TokenizerConfig config, int images)
        => [.. Enumerable.Range(0, images * config.CodesPerImage).Select(i => (i * 7919 % 104729) % config.CodebookSize)];
}
