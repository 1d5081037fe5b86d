using System.Diagnostics;
using NextPatch.Core.Configuration;
using NextPatch.Torch.Loading;
using static TorchSharp.torch;

namespace NextPatch.Cli.Planning;

/// <summary>How fast this machine multiplies matrices of a model's width, in fp32 through libtorch.</summary>
internal static class MatrixSpeed
{
    private const int Rows = 1024;
    private static readonly TimeSpan Budget = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Slice = TimeSpan.FromSeconds(0.1);

    /// <summary>Runs the model's own up-projection for about a second.</summary>
    /// <returns>Floating-point operations per second in the best tenth of a second: others share the machine.</returns>
    public static double Measure(GptConfig model, CancellationToken cancellation)
    {
        NativeBackend.EnsureLoaded();
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var x = ones(Rows, model.Width);
        var weight = ones(model.FfnWidth, model.Width);
        Multiply(x, weight); // threads start, pages are touched
        var started = Stopwatch.GetTimestamp();
        var best = 0.0;
        do
        {
            cancellation.ThrowIfCancellationRequested();
            best = Math.Max(best, RunsPerSecond(x, weight));
        }
        while (Stopwatch.GetElapsedTime(started) < Budget);
        return best * 2.0 * Rows * model.Width * model.FfnWidth;
    }

    private static double RunsPerSecond(Tensor x, Tensor weight)
    {
        var started = Stopwatch.GetTimestamp();
        var runs = 0L;
        do
        {
            Multiply(x, weight);
            runs++;
        }
        while (Stopwatch.GetElapsedTime(started) < Slice);
        return runs / Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    private static void Multiply(Tensor x, Tensor weight)
    {
        using var product = nn.functional.linear(x, weight);
    }
}
