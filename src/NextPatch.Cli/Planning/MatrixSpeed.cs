using System.Diagnostics;
using NextPatch.Core.Configuration;
using static TorchSharp.torch;

namespace NextPatch.Cli.Planning;

/// <summary>How fast this machine multiplies matrices of a model's width, in fp32 through libtorch.</summary>
internal static class MatrixSpeed
{
    private const int Rows = 1024;
    private static readonly TimeSpan Budget = TimeSpan.FromSeconds(1);

    /// <summary>Runs the model's own up-projection for about a second.</summary>
    /// <returns>Floating-point operations per second.</returns>
    public static double Measure(GptConfig model, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var x = ones(Rows, model.Width);
        var weight = ones(model.FfnWidth, model.Width);
        Multiply(x, weight); // threads start, pages are touched
        var started = Stopwatch.GetTimestamp();
        var runs = 0L;
        do
        {
            cancellation.ThrowIfCancellationRequested();
            Multiply(x, weight);
            runs++;
        }
        while (Stopwatch.GetElapsedTime(started) < Budget);
        return runs * 2.0 * Rows * model.Width * model.FfnWidth / Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    private static void Multiply(Tensor x, Tensor weight)
    {
        using var product = nn.functional.linear(x, weight);
    }
}
