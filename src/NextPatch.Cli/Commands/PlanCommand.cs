using System.CommandLine;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Planning;
using NextPatch.Cli.Rendering;
using NextPatch.Cli.Training;
using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Data.Codes;
using NextPatch.Torch.Devices;
using NextPatch.Training;
using NextPatch.Training.Gpt;

namespace NextPatch.Cli.Commands;

/// <summary><c>nextpatch plan</c>: what a run costs before it starts.</summary>
internal static class PlanCommand
{
    private const long ImageNetImages = 1_281_167;

    // Norms, softmax, the optimiser and the data take time that no matrix product accounts for.
    private const double ShareOfMatrixSpeed = 0.75;

    public static Command Create()
    {
        var settings = new RunSettings(defaultPreset: "B", defaultRecipe: "repository");
        var images = new Option<long?>("--images")
        {
            Description = "Images of the training set. [default: 1281167 (ImageNet) for the published recipes]", HelpName = "n",
        };
        var codes = new Option<string?>("--codes")
        {
            Description = "Folder of codes to train on: grid, vocabulary, classes and number of images are theirs.", HelpName = "dir",
        };
        var speed = new Option<double?>("--flops-per-second")
        {
            Description = "FLOPs per second that training reaches, e.g. 1e11. [default: 75 % of what matrix products of the model's width reach "
                + "here, measured for one second]",
            HelpName = "x",
        };
        var noMeasure = new Option<bool>("--no-measure")
        {
            Description = "Do not measure this machine, which needs libtorch: FLOPs and memory alone, and time where --flops-per-second says the "
                + "speed.",
        };
        var ranks = new Option<int>("--ranks")
        {
            Description = "Processes that share each step, each as fast as this machine: time and memory of each, and how long it waits for the "
                + "network.", HelpName = "n", DefaultValueFactory = _ => 1,
        }.Between(1, 1 << 20);
        var network = new Option<string>("--network")
        {
            Description = "Speed of each one's network connection in bits per second.", HelpName = "10G|100M", DefaultValueFactory = _ => "10G",
        };
        var gradients = RankOptions.CreateGradients("[default: fp32]");
        var device = DeviceOption.Create("Memory is that of the reference step there, and the largest micro-batch that fits.");
        var memory = new Option<string?>("--memory")
        {
            Description = "Memory of a device that is not here, instead of --device: what fits into it.", HelpName = "80G",
        };
        var json = new Option<bool>("--json") { Description = "Write the plan as JSON." };
        var command = new Command(
            "plan",
            """
            Says what a training run will cost before it starts: FLOPs, hours and memory, per stage and in total, and against
            plain next-token training on as many images.

            Examples:
              nextpatch plan --preset B --recipe paper
              nextpatch plan --preset XL --patch-level 3 --stage-rate 0.5 --flops-per-second 4e14
              nextpatch plan --preset L --recipe paper --flops-per-second 2e12 --ranks 16 --network 25G --gradient-dtype bf16
              nextpatch plan --preset small --recipe cpu --codes quickstart/codes --steps 2400
              nextpatch plan --preset small --recipe cpu --grid 8 --vocabulary 512 --classes 12 --steps 2400
            """);
        settings.AddTo(command);
        command.Add(codes);
        command.Add(images);
        command.Add(speed);
        command.Add(noMeasure);
        command.Add(ranks);
        command.Add(network);
        command.Add(gradients);
        command.Add(device);
        command.Add(memory);
        command.Add(json);
        command.SetAction((parsed, cancellation) =>
        {
            var terminal = Terminal.From(parsed);
            using var store = parsed.GetValue(codes) is { } folder ? CodeStore.Open(folder) : null;
            var (model, training) = settings.Resolve(parsed, m => store is null ? m : GptTraining.Fit(m, store.Manifest));
            var recipe = settings.Recipe(parsed);
            var count = DatasetImages(parsed.GetValue(images) ?? store?.TrainCount, training, recipe);
            var (name, bytes) = Device(parsed, device, parsed.GetValue(memory));
            var (flops, source) = Speed(parsed.GetValue(speed), parsed.GetValue(noMeasure) || bytes is not null, model, cancellation);
            var plan = RunPlan.Create(settings.Preset(parsed), recipe, model, training, count, flops, source);
            if (bytes is { } all)
            {
                var there = training with { StepImplementation = StepImplementation.Reference };
                var step = new StepMemory(model, there, isDevice: true);
                plan = plan with
                {
                    Memory = MemoryEstimate.Create(model, there, isDevice: true),
                    OnDevice = new DevicePlan(
                        name, all, step.LargestMicroBatch(all, recompute: false), step.LargestMicroBatch(all, recompute: true)),
                };
            }

            if (parsed.GetRequiredValue(ranks) is > 1 and var size)
            {
                _ = flops ?? throw new ConfigException("--ranks with --no-measure needs --flops-per-second: how fast one of them is.");
                var bits = Bits(parsed.GetRequiredValue(network));
                plan = plan with
                {
                    OnRanks = RankPlan.Create(plan, model, training, size, bits, parsed.GetValue(gradients) == RankOptions.Bf16),
                };
            }

            if (parsed.GetValue(json))
            {
                terminal.WriteJson(plan);
            }
            else
            {
                PlanScreen.Show(terminal.Output, plan);
            }

            return Task.FromResult(ExitCode.Success);
        });
        return command;
    }

    /// <summary>The device that is planned for; no memory: the processor.</summary>
    private static (string? Name, long? Bytes) Device(ParseResult parsed, Option<string> option, string? memory)
    {
        var name = parsed.GetRequiredValue(option);
        if (memory is not null)
        {
            return TorchDevices.IsCpu(name) ? (null, (long)Scaled(memory, "--memory", "memory in bytes; write it like 80G or 8e10"))
                : throw new ConfigException($"--memory {memory} is that of a device which is not here; leave --device {name} out.");
        }

        return TorchDevices.IsCpu(name) ? (null, null)
            : (DeviceOption.Of(parsed, option), TorchDevices.MemoryOf(name) ?? throw new ConfigException(
                $"{name} does not tell its memory; name it with --memory, such as 16G, instead of --device."));
    }

    /// <summary>10G: 1e10.</summary>
    private static double Bits(string text) => Scaled(text, "--network", "speed in bits per second; write it like 10G, 100M or 1e9");

    private static double Scaled(string text, string option, string what)
    {
        var factor = text.Length == 0 ? 0 : char.ToUpperInvariant(text[^1]) switch { 'K' => 1e3, 'M' => 1e6, 'G' => 1e9, 'T' => 1e12, _ => 1 };
        return StrictNumber.TryParse(factor == 1 ? text : text.AsSpan(0, text.Length - 1), out double value) && value * factor is >= 1 and <= 1e18
            ? value * factor
            : throw new ConfigException($"{option} '{text}' is no {what}.");
    }

    private static long? DatasetImages(long? given, TrainingConfig training, string recipe)
    {
        if (given is <= 0)
        {
            throw new ConfigException($"--images {given} must be at least 1.");
        }

        if (given is null && string.Equals(recipe, "cpu", StringComparison.OrdinalIgnoreCase))
        {
            return training.Steps is null
                ? throw new ConfigException("--epochs with the recipe 'cpu' needs --images: the number of images of the training set.")
                : null;
        }

        return given ?? ImageNetImages;
    }

    private static (double? FlopsPerSecond, string? Source) Speed(
        double? given, bool isUnmeasured, GptConfig model, CancellationToken cancellation)
        => given switch
        {
            null when isUnmeasured => (null, null),
            null => (ShareOfMatrixSpeed * MatrixSpeed.Measure(model, cancellation), "75 % of the matrix products measured on this machine"),
            > 0 and < double.PositiveInfinity => (given.Value, "as given"),
            _ => throw new ConfigException($"--flops-per-second {given} must be greater than 0."),
        };
}
