using System.CommandLine;
using NextPatch.Cli.Benchmarking;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Diagnostics;
using NextPatch.Cli.Rendering;
using NextPatch.Core;
using NextPatch.Evaluation.Networks;
using NextPatch.Torch.Loading;
using TorchSharp;

namespace NextPatch.Benchmarks.Evaluation;

/// <summary><c>evaluate</c>: what the metrics cost on this machine, and how near that is to what they could.</summary>
internal static class EvaluateBenchCommand
{
    public static Command Create()
    {
        var images = new Option<int>("--images")
        {
            Description = "Images of the reference, and of the samples for all but precision and recall.", HelpName = "n",
            DefaultValueFactory = _ => 50_000,
        };
        var samples = new Option<int>("--samples")
        {
            Description = "Samples whose precision and recall are measured against the reference.", HelpName = "n", DefaultValueFactory = _ => 10_000,
        };
        var width = new Option<int>("--features") { Description = "Features per image.", HelpName = "n", DefaultValueFactory = _ => 2048 }.AtLeast(1);
        var weights = new Option<string?>("--weights") { Description = "Also extract features by the network in this file.", HelpName = "file" };
        var side = new Option<int>("--image-side")
        {
            Description = "Side of the images whose features are extracted.", HelpName = "pixels", DefaultValueFactory = _ => 256,
        }.AtLeast(1);
        var json = new Option<bool>("--json") { Description = "Write the figures as JSON: name, value, unit, baseline, ratio, floorShare." };
        var command = new Command(
            "evaluate",
            """
            Times the metrics on drawn features: FID, Inception Score, KID of 100 subsets of 1,000, precision and recall; and how near that is to
            the bare matrix products. bench/evaluate_numpy.py does the same in NumPy and SciPy.
            With --weights, images per second of that network beside its convolutions alone (bench/inception_torch.py: the same network in PyTorch).

            Examples:
              evaluate --weights pt_inception-2015-12-05-6726825d.pth
              evaluate --images 10000 --samples 2000 --json
            """)
        { images, samples, width, weights, side, json };
        command.SetAction((parsed, cancellation) =>
        {
            NativeBackend.EnsureLoaded();
            var terminal = Terminal.From(parsed);
            var (count, few) = (parsed.GetRequiredValue(images), parsed.GetRequiredValue(samples));
            if (count < 4 || few < 4 || few > count)
            {
                throw new ConfigException($"--images {count} and --samples {few} must be at least 4, and no more samples than images.");
            }

            var plan = new EvaluateBenchPlan(count, few, parsed.GetRequiredValue(width), SubsetSize: Math.Min(1000, count));
            terminal.Log.WriteLine($"{Processor.Detect().Describe()}; {torch.get_num_threads()} threads.");
            var figures = new List<BenchFigure>();
            if (parsed.GetValue(weights) is { } path)
            {
                using var network = FeatureNetworks.Open(null, path);
                terminal.Log.WriteLine($"features of {network.Name}");
                figures.AddRange(FeatureBench.Run(network, images: 16, parsed.GetRequiredValue(side), rounds: 8, cancellation));
            }

            figures.AddRange(new EvaluateBench(plan, terminal.Log.WriteLine).Run(cancellation));
            BenchFigure.Write(terminal, parsed.GetValue(json), figures);
            return Task.FromResult(ExitCode.Success);
        });
        return command;
    }
}
