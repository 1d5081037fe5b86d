using System.CommandLine;
using System.Globalization;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Rendering;
using NextPatch.Cli.Sampling;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Data.Imaging;
using NextPatch.Models;
using NextPatch.Sampling;

namespace NextPatch.Cli.Commands;

/// <summary><c>nextpatch sample</c>: images from a trained model.</summary>
internal static class SampleCommand
{
    private const int DefaultCount = 16;

    public static Command Create()
    {
        var (rules, prompting) = (new SamplingOptions(), new PromptOptions());
        var prompt = new Option<string[]>("--prompt")
        {
            Description = "What to draw, of a model that takes prompts; may be repeated, images take them in turn.", HelpName = "text",
        };
        var prompts = new Option<string?>("--prompts")
        {
            Description = "A file of prompts: .txt (a line each), .csv or .tsv (a column prompt, text or caption), .jsonl.", HelpName = "file",
        };
        var model = new Option<string?>("--model")
        {
            Description = "A run folder (its newest checkpoint), a checkpoint or Hugging Face folder, or a file of weights (.pt, .pth, "
                + ".safetensors, .npz). [default: the quickstart's model, which comes with the program]", HelpName = "path",
        };
        var tokenizer = new Option<string?>("--tokenizer")
        {
            Description = "Tokenizer folder, or a weights file in the published layout (vq_ds16_c2i.pt). [default: the one the run remembers, "
                + "or tokenizer/ in or beside it; without one, or with 'none', codes are written instead of images]", HelpName = "path",
        };
        var classes = new Option<string[]>("--class")
        {
            Description = "A class by number, name, synonym or the beginning of one; may be repeated, images take them in turn. 'all' = every class.",
            HelpName = "class",
            DefaultValueFactory = _ => [ClassChoice.All],
        };
        var count = new Option<int?>("--count") { Description = "Number of images. [default: 16, or one per prompt]", HelpName = "n" };
        var balanced = new Option<bool>("--balanced")
        {
            Description = "Exactly as many images of each class; --count must be a multiple of the number of classes.",
        };
        var random = CreateRandomClasses();
        var seed = new Option<ulong>("--seed")
        {
            Description = "Seed. Image k depends on seed, k, class and rules only, not on --count.", HelpName = "n", DefaultValueFactory = _ => 0,
        };
        var weights = new Option<string?>("--weights")
        {
            Description = "Which weights: ema (their moving average over training) or model. [default: ema where there is one]",
            HelpName = "ema|model",
        };
        weights.AcceptOnlyFromAmong("ema", "model");
        var imageSize = new Option<int?>("--image-size")
        {
            Description = "Side of the images in pixels, 16 per code, where the file does not say it: 256 or 384. [default: 256]", HelpName = "px",
        };
        var evaluationSize = new Option<int?>("--image-size-eval")
        {
            Description = "Write images of this side: models of 384 pixels are judged at 256. [default: as drawn]", HelpName = "px",
        };
        var antialias = new Option<bool>("--antialias")
        {
            Description = "Resize to --image-size-eval by Pillow's bicubic filter, which looks at every pixel, instead of the published "
                + "interpolation, which does not.",
        };
        var layout = new Option<string>("--layout")
        {
            Description = "plain: everything in --output. published: a folder named after model and settings in it, with .npz and .png beside it, "
                + "as the published evaluation scripts expect them; of prompts images/, captions.txt and result.jsonl in that folder.",
            HelpName = "plain|published", DefaultValueFactory = _ => "plain",
        };
        layout.AcceptOnlyFromAmong("plain", "published");
        var precision = new Option<string>("--precision")
        {
            Description = "How weights are kept: bf16 takes half, int8 a quarter of the memory and of the time per code; with "
                + "--engine torch bf16 is slow on processors without bf16 instructions, and int8 does not exist.",
            HelpName = "fp32|bf16|int8", DefaultValueFactory = _ => "fp32",
        };
        precision.AcceptOnlyFromAmong("fp32", "bf16", "int8");
        var engine = EngineOption.Create();
        var device = DeviceOption.Create();
        var picture = new Option<string?>("--image")
        {
            Description = "A picture whose codes stay where --mask is black, or in the rows of --keep-rows.", HelpName = "file",
        };
        var mask = new Option<string?>("--mask")
        {
            Description = "A picture that is white where --image is drawn anew: every code whose square has a white pixel. Codes are drawn row by "
                + "row; what stays right of one and below it is not seen.", HelpName = "file",
        };
        var keepRows = new Option<int?>("--keep-rows")
        {
            Description = "Rows of codes of --image that stay; those below are drawn anew.", HelpName = "n",
        };
        var output = new Option<string>("--output")
        {
            Description = "Folder for 000000.png .., grid.png, samples.npz and samples.json.", HelpName = "dir", DefaultValueFactory = _ => "samples",
        };
        var format = new Option<string>("--format")
        {
            Description = "How numbered images are stored; webp and jpeg at quality 95. samples.npz and grid.png keep every bit, and only PNG files "
                + "remember how they were drawn.", HelpName = "png|webp|jpeg", DefaultValueFactory = _ => "png",
        };
        format.AcceptOnlyFromAmong("png", "webp", "jpeg");
        var resume = new Option<bool>("--resume")
        {
            Description = "Continue a set that was stopped: PNG files of the same seed, class, settings, model, tokenizer and "
                + "precision are kept and not drawn again.",
        };
        var shard = ShardOption.Create("Only PNG files are written; when all parts are done, the same command with --resume instead makes grid.png, "
            + "samples.npz and samples.json of them.");
        var command = new Command(
            "sample",
            """
            Draws images from a trained model: numbered PNG files that remember seed, class, settings and model; a labelled
            grid.png; samples.npz (arr_0, uint8 [N, H, W, 3]) as the published evaluator reads it; samples.json with the labels.

            Examples:
              nextpatch sample
              nextpatch sample --model quickstart/model --count 64
              nextpatch sample --model quickstart/model --class star --class heart --count 20 --seed 7 --output hearts
              nextpatch sample --model run --class 207 --cfg-scale 4 --cfg-shape power --cfg-power 2 --top-k 2000
              nextpatch sample --model run --count 50000 --balanced --cfg-scale 1.75 --output samples-50k --resume
              nextpatch sample --model c2i_B_256.pt --tokenizer vq_ds16_c2i.pt --count 50000 --random-classes --cfg-scale 2 --output as-published
              nextpatch sample --model c2i_B_256.pt --class "golden retriever" --count 8 --cfg-scale 2.0 --output goldens
              srun -n 16 nextpatch sample --model run --count 50000 --output set --shard rank
              nextpatch sample --model run --class heart --image photo.png --mask mask.png --count 4
              nextpatch sample --model c2i_L_384.pt --tokenizer vq_ds16_c2i.pt --image-size 384 --image-size-eval 256 --count 50000 --layout published
              nextpatch sample --model text-run --prompt "a small red star at the top left on blue" --count 8
              nextpatch sample --model t2i_XL_stage2_512.pt --tokenizer vq_ds16_t2i.pt --image-size 512 --text-encoder flan-t5-xl \
                  --prompts PartiPrompts.tsv --cfg-scale 7.5 --top-k 1000 --precision bf16 --layout published

            Of a file of weights alone the shape is inferred. A model of 1000 classes without names is taken for one of ImageNet.
            """)
        {
            model, tokenizer, prompt, prompts, classes, count, balanced, random, seed, weights, imageSize, evaluationSize, antialias, precision,
            engine, device, picture, mask, keepRows, layout, format, resume, shard, output,
        };
        rules.AddTo(command);
        prompting.AddTo(command);
        command.SetAction((parsed, cancellation) =>
        {
            var terminal = Terminal.From(parsed);
            GenerationRequest request = null!;
            var asked = PromptOptions.From(parsed.GetValue(prompt), parsed.GetValue(prompts));
            void Resolve(CheckpointConfig config) // before weights load: a mistyped class is said at once, and a text encoder's memory is free again
            {
                var (images, named) = (parsed.GetValue(count) ?? asked?.Count ?? DefaultCount, parsed.GetRequiredValue(classes));
                request = new GenerationRequest
                {
                    Labels = ClassChoice.Labels(
                        named, images, config, parsed.GetValue(balanced),
                        parsed.GetValue(random) ? parsed.GetValue(seed) : null),
                    Prompts = PromptChoice.Of(asked, named, images, config, texts => PromptOptions.Encode(
                        texts, config, prompting.Read(parsed), note => terminal.WriteNote("Warning: " + note), cancellation)),
                    Seed = parsed.GetValue(seed),
                    Sampling = rules.Resolve(parsed, config.Model),
                };
            }

            var backend = DeviceOption.Backend(parsed, device, engine);
            using var loaded = parsed.GetValue(model) is { } path
                ? SampleModel.Load(
                    path, parsed.GetValue(tokenizer), Enum.Parse<WeightsKind>(parsed.GetValue(weights) ?? "auto", ignoreCase: true),
                    parsed.GetValue(imageSize), Enum.Parse<ComputePrecision>(parsed.GetRequiredValue(precision), ignoreCase: true), backend, Resolve)
                : BuiltInModel.Load(backend, Resolve);
            var part = ShardOption.Of(parsed, shard);
            RequireResumable(
                parsed.GetValue(resume) ? resume.Name : part is null ? null : shard.Name, parsed.GetRequiredValue(format), loaded,
                parsed.GetValue(picture));
            request = Keep(request, loaded, parsed.GetValue(picture), parsed.GetValue(mask), parsed.GetValue(keepRows));
            rules.Warn(parsed, terminal);
            var size = Size(parsed.GetValue(evaluationSize), parsed.GetValue(antialias), loaded);
            var paths = parsed.GetValue(layout) == "published"
                ? SamplePaths.Published(
                    parsed.GetRequiredValue(output),
                    PublishedName(parsed.GetValue(model) ?? BuiltInModel.Name, loaded, size, request, parsed.GetValue(prompts)), loaded.TakesPrompts)
                : SamplePaths.In(parsed.GetRequiredValue(output), images: null, loaded.Tokenizer is not null);
            terminal.WriteNote(
                $"{loaded.Engine.Name}, {(loaded.KindName == "ema" ? "EMA weights (ema)" : "raw weights (model)")}, model {loaded.Hash[..12]}");
            if (!parsed.GetValue(resume) && part is null && EarlierSamples.Describe(paths, request) is { } earlier)
            {
                terminal.WriteNote(earlier);
            }

            using (var progress = terminal.CreateProgress())
            {
                var writer = new SampleWriter(loaded, size)
                {
                    Format = Enum.Parse<PictureFormat>(parsed.GetRequiredValue(format), ignoreCase: true),
                    Resume = parsed.GetValue(resume),
                    Shard = part,
                };
                writer.Write(paths, request, progress.For("Sampling", request.Labels.Count), cancellation);
            }

            terminal.Data.WriteLine(part is not null ? paths.Images : loaded.Tokenizer is null ? paths.Archive : paths.Grid);
            if (loaded.Tokenizer is null)
            {
                terminal.WriteNote(
                    parsed.GetValue(
                    tokenizer) == SampleModel.NoTokenizer ? "Codes were written, as asked." : "No tokenizer was found, so codes were written "
                    + "instead of images; name one with --tokenizer.");
            }

            return Task.FromResult(ExitCode.Success);
        });
        return command;
    }

    /// <summary>Only whole PNG files tell that they are the ones to be drawn.</summary>
    private static void RequireResumable(string? option, string format, SampleModel model, string? picture)
    {
        if (option is not null && (format != "png" || model.Tokenizer is null || picture is not null))
        {
            throw new ConfigException(
                $"{option} needs images as PNG files that no other picture went into: they remember how they were drawn. Leave "
                + $"{(format != "png" ? "--format" : picture is not null ? "--image" : option)} out.");
        }
    }

    private static GenerationRequest Keep(GenerationRequest request, SampleModel model, string? picture, string? mask, int? rows)
    {
        if (picture is null)
        {
            return (mask, rows) is (null, null)
                ? request
                : throw new ConfigException("--mask and --keep-rows say what stays of a picture; name it with --image.");
        }

        var codes = KeptCodes.From(
            model.Tokenizer ?? throw new ConfigException("--image needs a tokenizer to turn it into codes. Name one with --tokenizer."),
            ImageDecoder.Decode(picture), mask is null ? null : ImageDecoder.Decode(mask), rows);
        return request with { GivenCodes = [.. Enumerable.Repeat(codes, request.Labels.Count).SelectMany(c => c)] };
    }

    private static EvaluationSize? Size(int? side, bool isAntialiased, SampleModel model) => side switch
    {
        null when isAntialiased => throw new ConfigException("--antialias says how images are resized; say to what with --image-size-eval."),
        null => null,
        _ when model.Tokenizer is null => throw new ConfigException(
            "--image-size-eval needs a tokenizer: codes cannot be resized. Name one with --tokenizer."),
        < 1 or > 4096 => throw new ConfigException($"--image-size-eval {side} must be from 1 to 4096."),
        _ => side == model.Tokenizer.Config.ImageSide ? null : new EvaluationSize(side.Value, isAntialiased),
    };

    private static string PublishedName(string path, SampleModel model, EvaluationSize? size, GenerationRequest request, string? prompts)
    {
        var gpt = model.Config.Model;
        var shape = GptPresets.Names.FirstOrDefault(
            name => GptPresets.Get(name) is var p && (p.LayerCount, p.HeadCount, p.Width) == (gpt.LayerCount, gpt.HeadCount, gpt.Width))
            ?? string.Create(CultureInfo.InvariantCulture, $"{gpt.LayerCount}x{gpt.Width}");
        var factor = model.Tokenizer?.Config.DownsamplingFactor ?? ModelSource.PublishedDownsampling;
        var side = gpt.GridSide * factor;
        var checkpoint = LlamaGenNames.ForCheckpoint(Path.TrimEndingDirectorySeparator(path));
        var list = model.TakesPrompts ? $"-{(prompts is null ? "prompts" : Path.GetFileName(prompts).Split('.')[0].ToLowerInvariant())}" : "";
        return LlamaGenNames.ForFolder(
            $"GPT-{shape}", checkpoint + list, side, size?.Side ?? side, $"VQ-{factor}",
                request.Sampling, request.Seed);
    }

    /// <summary>The option by which classes are drawn and not taken in turn.</summary>
    internal static Option<bool> CreateRandomClasses()
        => new("--random-classes")
        {
            Description = "Draw the class of each image, as the published sampler does, instead of taking them in turn; image k's depends on seed "
                + "and k.",
        };
}
