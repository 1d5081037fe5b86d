using System.CommandLine;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Diagnostics;
using NextPatch.Cli.Rendering;
using Spectre.Console;

namespace NextPatch.Cli.Commands;

/// <summary><c>nextpatch doctor</c>: what works here.</summary>
internal static class DoctorCommand
{
    private const long SmallDisk = 2L << 30;

    public static Command Create()
    {
        var json = new Option<bool>("--json") { Description = "Write the findings as JSON." };
        var get = new Option<bool>("--get-libtorch") { Description = "Fetch libtorch first, where it is missing." };
        var command = new Command(
            "doctor",
            """
            Says what loads, which engine computes and with how many threads, what the processor can do, and what to do where
            something is missing. Exit code 1 when something essential does not load.

            The tool carries no libtorch, which trains and generates and takes 460 MB. --get-libtorch fetches it from your NuGet
            sources ('dotnet nuget list source') with the .NET SDK, once for all versions of the tool that use the same one.

            Examples:
              nextpatch doctor
              nextpatch doctor --json
              nextpatch doctor --get-libtorch
            """) { json, get };
        command.SetAction(async (parsed, cancellation) =>
        {
            var terminal = Terminal.From(parsed);
            if (parsed.GetValue(get))
            {
                await LibTorchDownload.RunAsync(terminal.Log.WriteLine, cancellation);
            }

            var report = SystemReport.Collect();
            if (parsed.GetValue(json))
            {
                terminal.WriteJson(report);
            }
            else
            {
                Show(terminal.Output, report);
            }

            return report.Works ? ExitCode.Success : ExitCode.Failure;
        });
        return command;
    }

    private static void Show(IAnsiConsole console, SystemReport report)
    {
        console.WriteLine($"NextPatch {report.Version}, {report.Runtime}, {report.OperatingSystem}");
        console.WriteLine();
        foreach (var check in report.Components)
        {
            console.MarkupLine(
                $"{(check.Works ? "[green]ok    [/]" : "[red]BROKEN[/]")} {Markup.Escape($"{check.Name} {check.Version}")} "
                + $"[grey]({check.Purpose})[/]");
            foreach (var (label, text) in new[] { ("from", check.Location), ("why", check.Problem), ("do", check.Remedy) })
            {
                if (text is not null)
                {
                    console.WriteLine($"       {label}: {text}");
                }
            }
        }

        var processor = report.Processor;
        var disk = report.FreeDiskBytes is { } free
            ? $"{Quantity.Bytes(free)} free in {report.Folder}{(free < SmallDisk ? "; that is little: checkpoints and codes need room" : "")}"
            : "unknown";
        console.WriteLine();
        console.Write(new Grid().AddColumn().AddColumn()
            .AddRow("Engine", Markup.Escape(report.Engine))
            .AddRow("Devices", report.Devices.Count == 0 ? "none: libtorch does not load" : $"{string.Join(", ", report.Devices)} (--device)")
            .AddRow("GPUs", Markup.Escape(Gpus(report)))
            .AddRow("Threads", $"{report.Threads} of {processor.LogicalCores} cores (set OMP_NUM_THREADS to change)")
            .AddRow("Processor", Markup.Escape(processor.Name))
            .AddRow("", $"AVX2 {YesNo(processor.Avx2)}, AVX-512 {YesNo(processor.Avx512)}, AVX-512 bf16 {YesNo(processor.Avx512Bf16)}, AMX "
                + $"{YesNo(processor.Amx)}")
            .AddRow("", Speed(processor))
            .AddRow("Memory", Quantity.Bytes(report.MemoryBytes))
            .AddRow("Disk", Markup.Escape(disk))
            .AddRow("libstdc++", report.LibStdCpp ?? "not found (needed on Linux only)"));
        console.WriteLine();
        console.WriteLine(report.Works
            ? "Everything that NextPatch needs works. Next: nextpatch quickstart"
            : "Something essential does not work; see 'do' above.");
    }

    private static string Gpus(SystemReport report)
    {
        var (driver, devices, problem) = report.Cuda;
        var libraries = report.CudaLibraries.Count == 0
            ? "the libtorch here is the one for processors (docs/guide/devices.md says how to use one for CUDA)"
            : $"libtorch for CUDA: {string.Join(", ", report.CudaLibraries)}";
        var listed = string.Concat(devices.Select(
            d => $"{d.Name} {d.Model}, compute capability {d.ComputeCapability}, {Quantity.Bytes(d.MemoryBytes)}; "));
        return devices.Count == 0 ? $"none: {problem}; {libraries}" : $"{listed}driver for CUDA {driver}; {libraries}";
    }

    private static string YesNo(bool value) => value ? "yes" : "no";

    private static string Speed(Processor processor) => processor switch
    {
        { IsBf16Fast: true } => "bf16 is fast here",
        { Avx2: true } => "bf16 is slow here; fp32 is right",
        _ => "no AVX2: training works but takes many times longer",
    };
}
