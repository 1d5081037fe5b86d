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
        using var decoder = CpuTokenizerDecoder.Open(
            StateLoader.Capture(tokenizer).ToDictionary(p => p.Key, p => StoredTensor.From(p.Value)), config, preset, threads: null);
        int[] codes = [.. Enumerable.Range(0, config.CodesPerImage).Select(i => i * 61 % config.CodebookSize)];
        var (own, torch, difference) = (double.MaxValue, double.MaxValue, 0);
        for (var round = 0; round < rounds; round++)
        {
            var start = Stopwatch.GetTimestamp();
            var pixels = decoder.DecodePixels(codes);
            own = Math.Min(own, Stopwatch.GetElapsedTime(start).TotalSeconds);
            start = Stopwatch.GetTimestamp();
            var expected = tokenizer.DecodePixels(codes);
            torch = Math.Min(torch, Stopwatch.GetElapsedTime(start).TotalSeconds);
            difference = expected.Zip(pixels).Max(p => Math.Abs(p.First - p.Second));
        }

        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{preset} {config.ImageSide}x{config.ImageSide}: {own:0.000} s | TorchSharp {torch:0.000} s, ratio {torch / own:0.00} | largest "
                + $"difference {difference}"));
    }
}
