using System.Diagnostics;
using System.Globalization;
using NextPatch.Cli.Benchmarking;
using NextPatch.Cli.Benchmarking.Decoding;
using NextPatch.Core.Configuration;
using NextPatch.Core.Tensors;
using NextPatch.Cpu.Gpt;

namespace NextPatch.Benchmarks.Decoding;

/// <summary>
/// Milliseconds per code of both engines, guided, beside the time to read the weights. The rounds of all of them alternate, and of every position the
/// fastest counts, so that other work on the machine meets all alike.
/// </summary>
internal static class DecodeSpeed
{
    /// <param name="preset">A published size; weights by formula.</param>
    /// <param name="images">Images side by side.</param>
    /// <param name="codes">Positions measured, spread over an image.</param>
    /// <param name="rounds">How often each is measured.</param>
    /// <param name="withTorch">Whether to measure the TorchSharp engine too.</param>
    public static void Run(string preset, int[] images, int codes, int rounds, bool withTorch)
    {
        var config = GptPresets.Get(preset);
        var state = FormulaWeights.Create(config, ElementType.Float32).ToDictionary(p => p.Key, p => p.Value);
        var weights = (config.BlockMatrixWeights * config.LayerCount) + ((long)config.VocabularySize * config.Width);
        using var bandwidth = new ReadBandwidth(Environment.ProcessorCount);
        using var torch = withTorch ? new TorchSteps(config, state) : null;
        Console.WriteLine(
            $"GPT-{preset}, {weights / 1e6:0.0} M weights in products, {Environment.ProcessorCount} threads; ms per code, mean of the fastest of "
            + "each position");
        foreach (var storage in new[] { WeightStorage.Float32, WeightStorage.BFloat16, WeightStorage.Int8 })
        {
            var start = Stopwatch.GetTimestamp();
            using var decoder = GptDecoders.Create(config, state, storage, 2 * images.Max(), Environment.ProcessorCount);
            Console.WriteLine(
                string.Create(CultureInfo.InvariantCulture, $"{storage}: opened in {Stopwatch.GetElapsedTime(start).TotalSeconds:0.0} s"));
            var bytes = weights * storage switch { WeightStorage.Float32 => 4, WeightStorage.BFloat16 => 2, _ => 1 + (4 / 128.0) };
            foreach (var count in images)
            {
                using var batch = new ManagedSteps(decoder, count);
                for (var round = 0; round < rounds; round++)
                {
                    bandwidth.Measure();
                    batch.Measure(codes);
                    torch?.Measure(codes, TorchSteps.Images);
                }

                var (products, floor, read) = (batch.Products, bytes / bandwidth.BytesPerSecond, bandwidth.BytesPerSecond / 1e9);
                Console.WriteLine(string.Create(
                    CultureInfo.InvariantCulture,
                    $"{storage,-9} {count,3} images: code {batch.Code * 1e3:0.00} | empty cache, no draw {products * 1e3:0.00} = "
                        + $"{floor / products:0%} of {read:0.0} GB/s"));
                if (torch is not null)
                {
                    var calls = (count + TorchSteps.Images - 1) / TorchSteps.Images;
                    Console.WriteLine(string.Create(
                        CultureInfo.InvariantCulture,
                            $"              TorchSharp {calls * torch.Code * 1e3:0.00}, ratio {calls * torch.Code / batch.Code:0.0}"));
                }
            }
        }
    }
}
