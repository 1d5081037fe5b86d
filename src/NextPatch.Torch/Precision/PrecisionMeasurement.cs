using System.Diagnostics;
using NextPatch.Core.Configuration;
using NextPatch.Torch.Gpt.Fused;
using static TorchSharp.torch;

namespace NextPatch.Torch.Precision;

/// <summary>Chooses between fp32 and bf16 by what the processor has and by a few products of the model's own width.</summary>
internal static class PrecisionMeasurement
{
    private const int Runs = 3;

    /// <summary>Enough to be timed, and few enough for milliseconds.</summary>
    private const double Flops = 1 << 28;

    /// <summary>Below this gain bf16 is not worth its rounding.</summary>
    private const double WorthIt = 1.3;

    /// <summary>
    /// Narrower models spend little in products. With 128, steps were twice as fast in bf16, and losses of 1,000 steps within the spread of seeds
    /// (docs/results.md).
    /// </summary>
    private const int NarrowestWidth = 128;

    /// <param name="model">Its widths are measured.</param>
    /// <param name="hasBf16">Whether the processor has bf16 dot products or tiles; without them bf16 is not even tried.</param>
    /// <returns>The precision, and a sentence that says why.</returns>
    public static (ComputePrecision Precision, string Reason) Choose(GptConfig model, bool hasBf16)
    {
        if (hasBf16 && model.Width < NarrowestWidth)
        {
            return (ComputePrecision.Fp32, $"Precision: fp32, because the model is narrower than {NarrowestWidth} (auto).");
        }

        using var noGrad = no_grad();
        var perRow = 2.0 * model.Width * model.FfnWidth;
        var rows = (int)Math.Clamp(Flops / perRow, 256, 4096);
        return Choose(hasBf16, type => new Product(model, type, rows).Seconds, rows * perRow, $"products of width {model.Width}");
    }

    /// <summary>The same for any work.</summary>
    /// <param name="hasBf16">Whether the processor has bf16 dot products or tiles.</param>
    /// <param name="prepare">Given a type, makes what measures the seconds of the work in it.</param>
    /// <param name="flops">Floating-point operations of the work.</param>
    /// <param name="work">What messages call it.</param>
    internal static (ComputePrecision Precision, string Reason) Choose(
        bool hasBf16, Func<ScalarType, Func<double>> prepare, double flops, string work)
    {
        if (!hasBf16)
        {
            return (ComputePrecision.Fp32, "Precision: fp32, because the processor has no bf16 dot products (auto).");
        }

        using var scope = NewDisposeScope();
        var (wide, narrow) = (prepare(ScalarType.Float32), prepare(ScalarType.BFloat16));
        double fp32 = double.MaxValue, bf16 = double.MaxValue;
        for (var run = 0; run <= Runs; run++)
        {
            var (a, b) = (wide(), narrow());
            (fp32, bf16) = run == 0 ? (fp32, bf16) : (Math.Min(fp32, a), Math.Min(bf16, b)); // the first starts threads
        }

        var chosen = fp32 / bf16 >= WorthIt ? ComputePrecision.Bf16 : ComputePrecision.Fp32;
        return (chosen, $"Precision: {(chosen == ComputePrecision.Bf16 ? "bf16" : "fp32")}, because {work} run at {flops / fp32 / 1e9:F0} GFLOP/s "
            + $"in fp32 and {flops / bf16 / 1e9:F0} in bf16 (auto).");
    }

    /// <summary>The up-projection of a block.</summary>
    private sealed class Product(GptConfig model, ScalarType type, int rows)
    {
        private readonly Tensor _x = ones(rows, model.Width, type);
        private readonly Tensor _weight = ones(model.FfnWidth, model.Width, type).t();
        private readonly Tensor _y = empty(rows, model.FfnWidth, type);

        public double Seconds()
        {
            var started = Stopwatch.GetTimestamp();
            TorchGemm.Multiply(_x, _weight, _y);
            return Stopwatch.GetElapsedTime(started).TotalSeconds;
        }
    }
}
