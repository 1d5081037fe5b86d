using NextPatch.Cli.Benchmarking;
using NextPatch.Evaluation.Networks;

namespace NextPatch.Benchmarks.Evaluation;

/// <summary>Images per second of a feature network, beside its convolutions alone in the same rounds.</summary>
internal static class FeatureBench
{
    public static IEnumerable<BenchFigure> Run(IFeatureNetwork network, int images, int side, int rounds, CancellationToken cancellation)
    {
        var measured = FeatureThroughput.Measure(network, images, side, side, rounds, cancellation);
        yield return new BenchFigure(
            $"features.{network.Name}", measured.ImagesPerSecond, "images/s", measured.ConvolutionImagesPerSecond,
            measured.ImagesPerSecond / measured.ConvolutionImagesPerSecond, measured.Share);
        yield return new BenchFigure($"features.{network.Name}.convolutions", measured.ConvolutionRate, "FLOP/s");
    }
}
