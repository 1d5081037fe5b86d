using System.CommandLine;
using System.Globalization;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Rendering;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Evaluation;
using NextPatch.Evaluation.Protocol;

namespace NextPatch.Cli.Commands;

/// <summary><c>nextpatch quantize</c>: a model in fewer bits, and what that costs.</summary>
internal static class QuantizeCommand
{
    public static Command Create()
    {
        var model = new Argument<string>("model") { Description = "A run, a checkpoint or model folder, or a file of weights." };
        var output = new Argument<string>("output") { Description = "Folder to write." };
        var to = new Option<string>("--to")
        {
            Description = "int8: products in eight bits with a scale for every 128 weights, embeddings in bf16. bf16: everything but norms.",
            HelpName = "int8|bf16", DefaultValueFactory = _ => "int8",
        };
        to.AcceptOnlyFromAmong("int8", "bf16");
        var weights = new Option<string>("--weights")
        {
            Description = "Which weights, where there is a choice.", HelpName = "auto|ema|model", DefaultValueFactory = _ => "auto",
        };
        weights.AcceptOnlyFromAmong("auto", "ema", "model");
        var imageSize = new Option<int?>("--image-size")
        {
            Description = "Side of the images in pixels, where the file does not say it. [default: 256]", HelpName = "px",
        };
        var tokenizer = new Option<string?>("--tokenizer")
        {
            Description = "Tokenizer folder to copy beside the model. [default: the model's]", HelpName = "dir",
        };
        var codes = new Option<string?>("--codes")
        {
            Description = "Folder of codes to measure on. [default: codes that the model draws, unguided]", HelpName = "dir",
        };
        var count = new Option<int>("--count") { Description = "Images to measure on.", HelpName = "n", DefaultValueFactory = _ => 64 };
        count.AtLeast(1);
        var reference = new Option<string?>("--reference")
        {
            Description = "Images or statistics: how much farther from them are images that the quantised model draws? In the features "
                + "that evaluate would choose.", HelpName = "path",
        };
        var network = new Option<string?>("--network") { Description = "Features to compare in, as in evaluate.", HelpName = "name" };
        var features = new Option<string?>("--network-weights") { Description = "Weights of that network.", HelpName = "file" };
        var draw = new Option<int>("--draw") { Description = "Images to draw for it.", HelpName = "n", DefaultValueFactory = _ => 1000 };
        draw.AtLeast(2);
        var json = new Option<bool>("--json") { Description = "Write the report as JSON." };
        var command = new Command(
            "quantize",
            """
            Stores a model's weights in fewer bits, in a folder that sample and convert read, and says what that costs: how far the
            predicted distributions move (Kullback-Leibler divergence, nats per code) and how often the most probable code stays.

            Examples:
              nextpatch quantize quickstart/model small --codes quickstart/codes
              nextpatch quantize c2i_B_256.pt npp-b-int8 --to int8
            """) { model, output, to, weights, imageSize, tokenizer, codes, count, reference, network, features, draw, json };
        command.SetAction((parsed, cancellation) =>
        {
            var terminal = Terminal.From(parsed);
            var report = WeightsQuantizer.Run(parsed.GetRequiredValue(model), parsed.GetRequiredValue(output), new QuantizationOptions
            {
                To = Enum.Parse<ComputePrecision>(parsed.GetRequiredValue(to), ignoreCase: true),
                Weights = Enum.Parse<WeightsKind>(parsed.GetRequiredValue(weights), ignoreCase: true),
                ImageSize = parsed.GetValue(imageSize),
                Tokenizer = parsed.GetValue(tokenizer),
                Codes = parsed.GetValue(codes),
                Count = parsed.GetValue(count),
            }, cancellation);
            if (parsed.GetValue(reference) is { } target)
            {
                var options = new ImageEvaluationOptions
                {
                    Metrics = new HashSet<EvaluationMetric> { EvaluationMetric.Fd },
                    Network = parsed.GetValue(network),
                    Weights = parsed.GetValue(features),
                    Tokenizer = parsed.GetValue(tokenizer),
                    ModelWeights = Enum.Parse<WeightsKind>(parsed.GetRequiredValue(weights), ignoreCase: true),
                    ImageSize = parsed.GetValue(imageSize),
                    Drawing = new ImageRequest { Count = parsed.GetValue(draw) },
                };
                double? Distance(string path) => ImageEvaluator.Measure(path, target, options, cancellation: cancellation).Fd;
                report = report with
                {
                    OriginalDistance = Distance(parsed.GetRequiredValue(model)),
                    Distance = Distance(parsed.GetRequiredValue(output)),
                };
            }

            if (parsed.GetValue(json))
            {
                terminal.WriteJson(report);
            }
            else
            {
                Write(terminal.Data, report);
            }

            return Task.FromResult(ExitCode.Success);
        });
        return command;
    }

    private static void Write(TextWriter output, QuantizationReport report)
    {
        output.WriteLine($"wrote        {report.Path}");
        output.WriteLine($"size         {Quantity.Bytes(report.Bytes)}, was {Quantity.Bytes(report.OriginalBytes)}");
        output.WriteLine($"measured on  {report.Images} images' {(report.IsOnRealCodes ? "codes" : "codes that the model drew")}");
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"divergence   {report.Divergence:0.000000} nats per code"));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"same greedy  {report.EqualGreedy:0.00%} of codes"));
        if (report.Distance is { } distance)
        {
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"distance     {distance:0.000}, was {report.OriginalDistance:0.000}"));
        }
    }
}
