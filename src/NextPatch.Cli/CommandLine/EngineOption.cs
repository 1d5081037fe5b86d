using System.CommandLine;
using NextPatch.Core.Generation;
using NextPatch.Cpu;
using NextPatch.Torch;

namespace NextPatch.Cli.CommandLine;

/// <summary><c>--engine</c>: what computes.</summary>
internal static class EngineOption
{
    private const string Auto = "auto";
    private const string Cpu = "cpu";
    private const string Torch = "torch";

    public static Option<string> Create()
    {
        var option = new Option<string>("--engine")
        {
            Description = "What computes: cpu, C# alone; torch, libtorch; auto, cpu wherever it can. Codes are the same.",
            HelpName = $"{Auto}|{Cpu}|{Torch}", DefaultValueFactory = _ => Auto,
        };
        return option.AcceptOnlyFromAmong(Auto, Cpu, Torch);
    }

    public static bool IsCpu(ParseResult parsed, Option<string> option) => parsed.GetRequiredValue(option) == Cpu;

    /// <returns>Null for auto.</returns>
    public static IComputeBackend? From(ParseResult parsed, Option<string> option) => parsed.GetRequiredValue(option) switch
    {
        Cpu => new CpuBackend(),
        Torch => new TorchBackend(),
        _ => null,
    };
}
