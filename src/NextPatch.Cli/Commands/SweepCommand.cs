using System.CommandLine;
using System.Globalization;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Evaluation;
using NextPatch.Cli.Rendering;
using NextPatch.Cli.Sampling;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Core.Files;
using NextPatch.Core.Imaging;
using NextPatch.Core.Sampling;
using NextPatch.Evaluation;
using NextPatch.Evaluation.Protocol;

namespace NextPatch.Cli.Commands;

/// <summary><c>nextpatch sweep</c>: figures over a grid of guidance and filters.</summary>
internal static class SweepCommand
{
    private const int ShownImages = 8;
    private const int LabelWidth = 32;
    private static readonly IReadOnlySet<EvaluationMetric> Wanted = new HashSet<EvaluationMetric>
    {
        EvaluationMetric.Fd, EvaluationMetric.InceptionScore,
    };

    public static Command Create()
    {
        var grid = new SweepGrid();
        var measure = new MeasureOptions(isRequired: true);
        var model = new Option<string>("--model")
        {
            Description = "A run folder, a checkpoint or Hugging Face folder, or a file of weights.", HelpName = "path", Required = true,
        };
        var tokenizer = new Option<string?>("--tokenizer")
        {
            Description = "Tokenizer folder or file. [default: tokenizer/ in or beside the run]", HelpName = "path",
        };
        var modelWeights = new Option<string?>("--model-weights")
        {
            Description = "Which weights of the model: ema or model. [default: ema where there is one]", HelpName = "ema|model",
        };
        modelWeights.AcceptOnlyFromAmong("ema", "model");
        var count = new Option<int>("--count") { Description = "Images per point.", HelpName = "n", DefaultValueFactory = _ => 5000 };
        var seed = new Option<ulong>("--seed")
        {
            Description = "Seed of the images, the same at every point.", HelpName = "n", DefaultValueFactory = _ => 0,
        };
        var output = new Option<string>("--output")
        {
            Description = "Folder for sweep.json, sweep.csv, sweep.html and grid.png.", HelpName = "dir", DefaultValueFactory = _ => "sweep",
        };
        var json = new Option<bool>("--json") { Description = "Write sweep.json to stdout too." };
        var command = new Command(
            "sweep",
            """
            Draws images at every combination of guidance scales, temperatures, top-k and top-p, measures each against the reference
            (Fréchet distance and Inception Score, others with --metrics), and writes the figures, curves over the guidance scale and
            a labelled picture: one row per setting, the same seeds and classes in each. The files grow point by point.

            Examples:
              nextpatch sweep --model run --count 5000 --cfg-scale 1,1.5,1.75,2,3 --top-k 0,500 \
                  --reference train.safetensors --weights resnet20-cifar10.safetensors
              nextpatch sweep --model c2i_B_256.pt --tokenizer vq_ds16_c2i.pt --count 10000 \
                  --metrics fid,is,precision,recall --reference VIRTUAL_imagenet256_labeled.npz --network inception
            """) { model, tokenizer, modelWeights, count, seed, output, json };
        grid.AddTo(command);
        measure.AddTo(command);
        command.SetAction((parsed, cancellation) =>
        {
            var terminal = Terminal.From(parsed);
            using var progress = terminal.CreateProgress();
            var (settings, options) = (grid.Points(parsed), measure.Read(parsed));
            if (settings.Any(s => s.Temperature == 0))
            {
                progress.WriteLine(SamplingOptions.WarningOf("--temperature 0"));
            }

            var drawing = new DrawingOptions
            {
                Tokenizer = parsed.GetValue(tokenizer), Weights = Enum.Parse<WeightsKind>(parsed.GetValue(modelWeights) ?? "auto", ignoreCase: true),
                Request = new ImageRequest { Count = parsed.GetValue(count), Seed = parsed.GetValue(seed) },
            };
            using var loaded = drawing.Load(parsed.GetRequiredValue(model));
            RequireGuidance(settings, loaded.Config.Model);
            using var network = options.OpenNetwork();
            var metrics = options.Metrics ?? (network.ClassCount > 1 ? Wanted : new HashSet<EvaluationMetric> { EvaluationMetric.Fd });
            var side = loaded.Tokenizer!.Config.ImageSide;
            var reference = ImageEvaluator.OpenReference(
                parsed.GetValue(measure.Reference)!, options with
                {
                    Metrics = metrics,
                }, network, FeatureOrigin.From(network, (side, side)), areSamplesCropped: false,
                progress.ForEvaluation(), cancellation);
            var folder = Directory.CreateDirectory(parsed.GetRequiredValue(output)).FullName;
            var points = Walk(
                settings, setting => drawing.Draw(loaded, parsed.GetRequiredValue(model), setting),
                new Evaluator(network, reference, metrics, parsed.GetValue(seed)), folder, progress, cancellation);
            progress.WriteLine($"Table, curves and picture: {Path.Combine(folder, "sweep.html")}");
            progress.Dispose();
            WriteTable(terminal, points);
            if (parsed.GetValue(json))
            {
                terminal.WriteJson(Describe(points));
            }

            foreach (var warning in points.SelectMany(p => p.Result.Warnings).Distinct())
            {
                terminal.WriteNote("Warning: " + warning);
            }

            return Task.FromResult(ExitCode.Success);
        });
        return command;
    }

    private static List<SweepPoint> Walk(
        IReadOnlyList<SamplingConfig> settings, Func<SamplingConfig, ModelImageSet> draw, Evaluator evaluator, string folder,
        ProgressReporter progress, CancellationToken cancellation)
    {
        var points = new List<SweepPoint>();
        foreach (var setting in settings)
        {
            using var images = draw(setting);
            var result = evaluator.Measure(
                images, progress.For($"Point {points.Count + 1} of {settings.Count}", images.Count), cancellation: cancellation);
            points.Add(new SweepPoint(setting, result, First(images)));
            SweepReport.Write(folder, points);
            AtomicFile.WriteText(Path.Combine(folder, "sweep.json"), Terminal.ToJson(Describe(points)));
        }

        return points;
    }

    private static object Describe(IReadOnlyList<SweepPoint> points) => new { Points = points.Select(p => new { p.Sampling, p.Result }) };

    private static List<RgbImage> First(ModelImageSet images)
    {
        var batch = images.FirstBatch!;
        var size = batch.Height * batch.Width * 3;
        return [.. Enumerable.Range(0, Math.Min(ShownImages, batch.Count)).Select(
            i => new RgbImage(batch.Width, batch.Height, batch.Pixels[(i * size)..((i + 1) * size)]))];
    }

    private static void RequireGuidance(IReadOnlyList<SamplingConfig> settings, GptConfig model)
    {
        if (!model.HasNullClass && settings.Any(s => s.IsGuided))
        {
            throw new ConfigException("--cfg-scale above 1 needs a null class, but this model was trained without label dropout; use --cfg-scale 1.");
        }
    }

    private static void WriteTable(Terminal terminal, IReadOnlyList<SweepPoint> points)
    {
        terminal.WriteFacts(points.Select(p => (p.Label, (string?)string.Join("  ", FigureNames.From(p.Result).Select(Text)))), LabelWidth);
    }

    private static string Text((string Name, double Value, double? Deviation) figure)
        => string.Create(CultureInfo.InvariantCulture, $"{figure.Name} {figure.Value:0.####}");
}
