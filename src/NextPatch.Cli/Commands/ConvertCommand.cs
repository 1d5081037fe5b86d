using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Rendering;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Tensors;

namespace NextPatch.Cli.Commands;

/// <summary><c>nextpatch convert</c>: weights in another format.</summary>
internal static class ConvertCommand
{
    private static readonly TimeSpan QuietTime = TimeSpan.FromSeconds(2);

    private static readonly (string Suffix, long Bytes)[] Units =
        [("KIB", 1L << 10), ("MIB", 1L << 20), ("GIB", 1L << 30), ("TIB", 1L << 40), ("KB", 1000), ("MB", 1_000_000), ("GB", 1_000_000_000),
            ("TB", 1_000_000_000_000), ("B", 1), ("", 1)];

    public static Command Create()
    {
        var input = new Argument<string>("input")
        {
            Description = "A run, checkpoint or model folder, or a file: .pt, .pth, .th, .bin, .ckpt, .safetensors, .safetensors.index.json, .npz, "
                + ".npy.",
        };
        var output = new Argument<string>("output")
        {
            Description = "The extension is the format: .pt, .pth, .safetensors, .npz; without one, or an existing folder: a folder in the layout "
                + "of Hugging Face.",
        };
        var weights = new Option<string>("--weights")
        {
            Description = "Which weights: model, ema (their moving average over training), or auto: ema where there is one.",
            HelpName = "model|ema|auto", DefaultValueFactory = _ => "auto",
        };
        weights.AcceptOnlyFromAmong("model", "ema", "auto");
        var type = new Option<string>("--dtype")
        {
            Description = "Element type of floating-point tensors; others are kept.", HelpName = "f32|bf16|f16|keep",
            DefaultValueFactory = _ => "keep",
        };
        type.AcceptOnlyFromAmong("f32", "bf16", "f16", "keep");
        var shard = new Option<string>("--max-shard-size")
        {
            Description = "Folders: most bytes of tensors in a file, as 5GB, 500MB or 2GiB.", HelpName = "size", DefaultValueFactory = _ => "5GB",
        };
        var tokenizer = new Option<string?>("--tokenizer")
        {
            Description = "Folders: the tokenizer to put beside the model. [default: the input's]", HelpName = "dir",
        };
        var imageSize = new Option<int?>("--image-size")
        {
            Description = "Folders: side of the images in pixels, where the file does not say it. [default: 256]", HelpName = "px",
        };
        var license = new Option<string?>("--license")
        {
            Description = "Folders: the licence that the model card names, as Hugging Face writes it: mit, apache-2.0. [default: unknown]",
            HelpName = "name",
        };
        var command = new Command(
            "convert",
            """
            Writes weights in another format: what PyTorch, LlamaGen and Hugging Face have, and NumPy. Any arrays convert; only a
            folder needs a class-conditional transformer, because its config.json and model card describe one. Nothing in a file
            is executed. Memory does not grow with the file; the output appears when it is complete.

            Examples:
              nextpatch convert c2i_L_384.pt c2i_L_384.safetensors
              nextpatch convert c2i_L_384.pt llamagen-l --image-size 384
              nextpatch convert run npp-b --dtype bf16 --license mit
              nextpatch convert run/step-00020000 weights.pt --weights model
              nextpatch convert weights.safetensors weights.npz --dtype f32
            """) { input, output, weights, type, shard, tokenizer, imageSize, license };
        command.SetAction((parsed, cancellation) =>
        {
            var terminal = Terminal.From(parsed);
            var options = new WeightsConversionOptions
            {
                Weights = Enum.Parse<WeightsKind>(parsed.GetRequiredValue(weights), ignoreCase: true),
                Type = parsed.GetValue(
                    type) switch
                { "f32" => ElementType.Float32, "bf16" => ElementType.BFloat16, "f16" => ElementType.Float16, _ => null },
                MaxShardBytes = ParseSize(parsed.GetRequiredValue(shard)),
                Tokenizer = parsed.GetValue(tokenizer),
                ImageSize = parsed.GetValue(imageSize),
                License = parsed.GetValue(license),
            };
            var started = Stopwatch.GetTimestamp();
            WeightsConversionResult result;
            using (var progress = terminal.CreateProgress())
            {
                result = WeightsConverter.Convert(
                    parsed.GetRequiredValue(input), parsed.GetRequiredValue(output), options, new ProgressLine<WeightsConversionProgress>(p =>
                {
                    if (Stopwatch.GetElapsedTime(started) > QuietTime)
                    {
                        progress.Report("Converting (MB)", p.DoneBytes / 1_000_000, p.TotalBytes / 1_000_000);
                    }
                }), cancellation);
            }

            Show(terminal, result);
            return Task.FromResult(ExitCode.Success);
        });
        return command;
    }

    private static void Show(Terminal terminal, WeightsConversionResult result)
    {
        foreach (var (name, value) in new[]
        {
            ("wrote", result.Path), ("format", result.Format), ("tensors", $"{result.Tensors}"), ("parameters", $"{result.ParameterCount:N0}"),
            ("weights", result.Weights), ("dtype", string.Join(", ", result.Dtypes)), ("size", Quantity.Bytes(result.Bytes)),
        })
        {
            terminal.Data.WriteLine($"{name,-12} {value}");
        }
    }

    /// <summary>Bytes of "5GB", "500MB", "2GiB" or "1000000"; units as in the SI and IEC.</summary>
    private static long ParseSize(string text)
    {
        var size = text.Trim().ToUpperInvariant();
        var (suffix, bytes) = Array.Find(Units, u => size.EndsWith(u.Suffix, StringComparison.Ordinal));
        return double.TryParse(size[..^suffix.Length], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)
            && number * bytes is >= 1 and < long.MaxValue
            ? (long)(number * bytes)
            : throw new ConfigException($"--max-shard-size '{text}' is no size; write it like 5GB, 500MB or 2GiB.");
    }
}
