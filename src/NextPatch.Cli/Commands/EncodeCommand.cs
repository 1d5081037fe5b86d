using System.CommandLine;
using NextPatch.Cli.Benchmarking;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Rendering;
using NextPatch.Cli.Tokenizers;
using NextPatch.Data.Codes;
using NextPatch.Data.Datasets;
using NextPatch.Data.Sources;
using Spectre.Console;

namespace NextPatch.Cli.Commands;

/// <summary><c>nextpatch encode</c>: images into codes to train on.</summary>
internal static class EncodeCommand
{
    public static Command Create()
    {
        var images = new Option<string>("--images")
        {
            Description = "A dataset: folder, .tar, .tar.gz, .zip, .npz, .csv, .jsonl, CIFAR or IDX files.", HelpName = "path", Required = true,
        };
        var tokenizer = new Option<string>("--tokenizer")
        {
            Description = "Tokenizer folder, or a weights file in the published layout (vq_ds16_c2i.pt).", HelpName = "path", Required = true,
        };
        var output = new Option<string>("--output")
        {
            Description = "Folder for the codes. The same command continues one that was begun.", HelpName = "dir", Required = true,
        };
        var size = new Option<int?>("--image-size")
        {
            Description = "Side in pixels of what is encoded. [default: the tokenizer's; 256 for a weights file]", HelpName = "px",
        };
        var crops = new Option<string>("--crops")
        {
            Description = "What is stored of an image: its centre crop, that and its mirror image, or ten crops of a larger centre crop.",
            HelpName = "center|flip|ten", DefaultValueFactory = _ => "center",
        };
        crops.AcceptOnlyFromAmong("center", "flip", "ten");
        var range = new Option<double>("--crop-range")
        {
            Description = "How much larger that centre crop is; published are 1.1 and 1.05.", HelpName = "factor",
            DefaultValueFactory = _ => ImageViews.PublishedRange,
        };
        var captions = new Option<string?>("--captions")
        {
            Description = "Captions of the images, for text to image: .jsonl, .csv or a folder of .jsonl, whose lines name an image (path, "
                + "file_name, image, image_path) beside its caption. The codes remember which line is whose.", HelpName = "path",
        };
        var smallest = new Option<int>("--smallest-side")
        {
            Description = "Images with a smaller width or height count as ones that cannot be read; 0 enlarges them.", HelpName = "px",
            DefaultValueFactory = _ => 0,
        }.AtLeast(0);
        var layout = new Option<CodeLayout>("--layout")
        {
            Description = "One memory-mapped array, or the published files, one per image.", HelpName = "store|published",
            DefaultValueFactory = _ => CodeLayout.Store,
        };
        var name = new Option<string?>("--name")
        {
            Description = "What the codes are called; in the published layout 'imagenet' gives imagenet256_codes/. [default: the dataset's name]",
            HelpName = "name",
        };
        var part = new Option<DatasetPart>("--part")
        {
            Description = "Which part of the dataset: all holds out the part that the data keep for testing.", HelpName = "all|train|val",
            DefaultValueFactory = _ => DatasetPart.All,
        };
        var heldOut = new Option<double>("--held-out")
        {
            Description = "Share of each class that is taken from the training images for validation.", HelpName = "share",
            DefaultValueFactory = _ => 0,
        };
        var seed = new Option<ulong>("--seed") { Description = "Chooses those images.", HelpName = "n", DefaultValueFactory = _ => 0 };
        var batch = new Option<int?>("--batch-size")
        {
            Description = "Squares per call of the network. [default: what suits the tokenizer]", HelpName = "n",
        }.AtLeast(1);
        var precision = TokenizerPrecision
            .CreateOption("Arithmetic of the encoder; auto is fp32. bf16 is faster on processors that have it and rounds: some codes are others.");
        var engine = EngineOption.Create();
        var device = DeviceOption.Create("Some codes round to their neighbours.");
        var onError = new Option<OnBadImage>("--on-error")
        {
            Description = "What to do with an image that cannot be read.", HelpName = "skip|fail", DefaultValueFactory = _ => OnBadImage.Fail,
        };
        var shard = ShardOption.Create(
            "Each goes into a folder of its own in --output; when all are done, the same command without it makes one of them.");
        var json = new Option<bool>("--json") { Description = "Write the summary as JSON." };
        var command = new Command(
            "encode",
            """
            Turns the images of a dataset into codes, which 'train --codes' reads: decoding, cropping and encoding side by side, always in
            the same order. Killed or stopped, the same command continues and ends with the same bytes as if it had never stopped.

            Examples:
              nextpatch encode --images imagenette.tar --tokenizer vq_ds16_c2i.pt --output codes --crops ten --on-error skip
              nextpatch encode --images cifar-10 --tokenizer tokenizer --output codes
              nextpatch encode --images laion/a.jsonl --captions laion/a.jsonl --tokenizer vq_ds16_t2i.pt --output codes \
                  --smallest-side 256 --on-error skip
              srun -n 16 nextpatch encode --images a.tar --tokenizer t --output codes --shard rank
              nextpatch encode --images imagenet/train --tokenizer vq_ds16_c2i.pt \
                  --output imagenet_code_c2i_flip_ten_crop --crops ten --layout published --name imagenet

            The folder holds codes.npy, labels.npy, dataset.json and encoding.json, which says how it was made; nothing
            but encoding.json has its name before all is whole.
            """) {
            images, tokenizer, output, captions, size, smallest, crops, range, layout, name, part, heldOut, seed, batch, precision, engine, device,
            onError, shard, json,
        };
        command.SetAction((parsed, cancellation) =>
        {
            StopSignals.LetFinish();
            var terminal = Terminal.From(parsed);
            CodeExtractionResult summary;
            PeakMemory.Reset();
            using (var progress = terminal.CreateProgress())
            {
                summary = CodeExtractor.Run(new CodeExtractionOptions
                {
                    Images = parsed.GetRequiredValue(images),
                    Tokenizer = parsed.GetRequiredValue(tokenizer),
                    Output = parsed.GetRequiredValue(output),
                    Captions = parsed.GetValue(captions),
                    SmallestSide = parsed.GetValue(smallest),
                    Name = parsed.GetValue(name),
                    ImageSize = parsed.GetValue(size),
                    Crops = parsed.GetRequiredValue(crops),
                    CropRange = parsed.GetValue(range),
                    Layout = parsed.GetValue(layout),
                    Part = parsed.GetValue(part),
                    HeldOut = parsed.GetValue(heldOut),
                    Seed = parsed.GetValue(seed),
                    BatchSize = parsed.GetValue(batch),
                    Precision = TokenizerPrecision.From(parsed, precision),
                    Backend = DeviceOption.Backend(parsed, device, engine),
                    OnError = parsed.GetValue(onError),
                    Shard = ShardOption.Of(parsed, shard),
                }, new ProgressLine<CodeExtractionProgress>(p => progress.Report("Encoding", p.Done, p.Total, Rate(p))), progress.WriteLine,
                    cancellation);
            }

            if (parsed.GetValue(json))
            {
                terminal.WriteJson(summary);
            }
            else
            {
                Write(terminal.Output, summary);
            }

            return Task.FromResult(ExitCode.Success);
        });
        return command;
    }

    private static string Rate(CodeExtractionProgress p)
        => p.SecondsLeft > 0 ? $"{p.ImagesPerSecond:0.#} images/s, {Quantity.Duration(p.SecondsLeft.Value)} left" : "";

    private static void Write(IAnsiConsole output, CodeExtractionResult s)
    {
        output.WriteLine(
            $"{s.Count:N0} images ({s.HeldOutCount:N0} held out) as {s.GridSide}x{s.GridSide} codes in "
            + $"{s.Output}{(s.SkippedCount > 0 ? $"; {s.SkippedCount:N0} could not be read" : "")}");
        if (s.Shares is { } shares)
        {
            output.WriteLine(
                $"{Quantity.Duration(s.Seconds)}, {s.ImagesPerSecond:0.##} images/s; decoding {shares.Decode:P0}, preprocessing "
                + $"{shares.Preprocess:P0}, encoding {shares.Encode:P0} of the processor's time; at most {Quantity.Bytes(s.PeakMemory)} of memory");
        }

        foreach (var bad in s.Skipped)
        {
            output.WriteLine($"  bad: {bad.Reason}");
        }
    }
}
