using System.Diagnostics;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Perception;
using static TorchSharp.torch;

namespace NextPatch.Evaluation.Networks;

/// <summary>How fast a network extracts features, beside its own convolutions alone: same shapes, same weights, same machine, in turn.</summary>
/// <param name="Images">Images of one pass.</param>
/// <param name="Seconds">Shortest pass from bytes to features.</param>
/// <param name="ConvolutionSeconds">Shortest time of the convolutions of such a pass, one after the other.</param>
/// <param name="Flops">Floating-point operations of those convolutions.</param>
internal sealed record FeatureThroughput(int Images, double Seconds, double ConvolutionSeconds, double Flops)
{
    public double ImagesPerSecond => Images / Seconds;

    /// <summary>What the network would do if nothing but its convolutions took time.</summary>
    public double ConvolutionImagesPerSecond => Images / ConvolutionSeconds;

    /// <summary>Rate of the convolutions alone, in FLOP/s.</summary>
    public double ConvolutionRate => Flops / ConvolutionSeconds;

    /// <summary>Share of the time of a pass in which convolutions alone would be done; 1 = nothing is wasted.</summary>
    public double Share => ConvolutionSeconds / Seconds;

    /// <summary>Measures a network.</summary>
    /// <param name="network">One that <see cref="FeatureNetworks"/> opened.</param>
    /// <param name="images">Images per pass.</param>
    /// <param name="height">Of the images; not the network's size, so that resizing counts.</param>
    /// <param name="width">Of the images.</param>
    /// <param name="rounds">Repetitions of both, in turn; the shortest counts.</param>
    /// <param name="cancellation">Checked between repetitions.</param>
    public static FeatureThroughput Measure(
        IFeatureNetwork network, int images, int height, int width, int rounds, CancellationToken cancellation = default)
    {
        NativeBackend.EnsureLoaded();
        using var noGradient = no_grad();
        using var scope = NewDisposeScope();
        var pixels = new byte[images * height * width * 3];
        for (var i = 0; i < pixels.Length; i++)
        {
            pixels[i] = (byte)(i * 2654435761u >> 24);
        }

        using var trace = new ConvolutionTrace();
        network.Extract(pixels, height, width);
        var runs = trace.Runs.ToList();
        trace.Dispose();
        var inputs = runs.Select(run => string.Join('x', run.Input)).Distinct()
            .ToDictionary(shape => shape, shape => FrozenConvolution.ChannelsLast(randn([.. shape.Split('x').Select(long.Parse)])));
        var (whole, alone) = (double.MaxValue, Enumerable.Repeat(double.MaxValue, runs.Count).ToArray());
        for (var round = 0; round < rounds; round++)
        {
            cancellation.ThrowIfCancellationRequested();
            whole = Math.Min(whole, Time(() => network.Extract(pixels, height, width)));
            for (var i = 0; i < runs.Count; i++)
            {
                var (convolution, input) = (runs[i].Convolution, inputs[string.Join('x', runs[i].Input)]);
                alone[i] = Math.Min(alone[i], Time(() => convolution.Forward(input).Dispose()));
            }
        }

        return new FeatureThroughput(images, whole, alone.Sum(), runs.Sum(run => run.Flops));
    }

    private static double Time(Action action)
    {
        var started = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(started).TotalSeconds;
    }
}
