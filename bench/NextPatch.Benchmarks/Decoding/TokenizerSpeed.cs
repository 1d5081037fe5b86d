using System.Diagnostics;
using System.Globalization;
using NextPatch.Core.Configuration;
using NextPatch.Core.Tensors;
using NextPatch.Cpu.Tokenizer;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Tokenizer;

namespace NextPatch.Benchmarks.Decoding;

/// <summary>Seconds from the codes of one image to its pixels, of an untrained tokenizer, by both engines in turn.</summary>
internal static class TokenizerSpeed
{
    public static void Run(string preset, int rounds)
    {
        NativeBackend.EnsureLoaded();
        var config = TokenizerPresets.Get(preset);
        using var tokenizer = new VqTokenizer(config, seed: 1);
        tokenizer.eval();
        using var managed = CpuTokenizer.Open(
            StateLoader.Capture(tokenizer).ToDictionary(p => p.Key, p => StoredTensor.From(p.Value)), config, preset, null, threads: null);
        int[] codes = [.. Enumerable.Range(0, config.CodesPerImage).Select(i => i * 61 % config.CodebookSize)];
        var (own, torch, difference) = (double.MaxValue, double.MaxValue, 0);
        var (ownEncoding, torchEncoding, equal) = (double.MaxValue, double.MaxValue, 0);
        var found = new int[codes.Length];
        for (var round = 0; round < rounds; round++)
        {
            var (pixels, expected) = (Array.Empty<byte>(), Array.Empty<byte>());
            own = Math.Min(own, Seconds(() => pixels = managed.Decode(codes)));
            torch = Math.Min(torch, Seconds(() => expected = tokenizer.DecodePixels(codes)));
            difference = expected.Zip(pixels).Max(p => Math.Abs(p.First - p.Second));
            ownEncoding = Math.Min(ownEncoding, Seconds(() => managed.Encode(expected, found)));
            int[] others = [];
            torchEncoding = Math.Min(torchEncoding, Seconds(() => others = tokenizer.EncodePixels(expected)));
            equal = others.Zip(found).Count(p => p.First == p.Second);
        }

        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{preset} {config.ImageSide}x{config.ImageSide}: decode {own:0.000} s | TorchSharp {torch:0.000} s, ratio {torch / own:0.00} | largest "
                + $"difference {difference}"));
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{preset} {config.ImageSide}x{config.ImageSide}: encode {ownEncoding:0.000} s | TorchSharp {torchEncoding:0.000} s, ratio "
                + $"{torchEncoding / ownEncoding:0.00} | {equal} of {codes.Length} codes equal"));
    }

    private static double Seconds(Action action)
    {
        var start = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }
}
