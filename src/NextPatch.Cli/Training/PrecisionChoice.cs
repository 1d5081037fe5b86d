using System.CommandLine;
using NextPatch.Cli.Diagnostics;
using NextPatch.Core.Configuration;
using NextPatch.Torch.Gpt;

namespace NextPatch.Cli.Training;

/// <summary>The option <c>--precision</c> and what it means on this machine.</summary>
internal static class PrecisionChoice
{
    private const string Auto = "auto";

    public static Option<string> CreateOption()
    {
        var option = new Option<string>("--precision")
        {
            Description = "Arithmetic of the matrix products: auto measures fp32 against bf16 where the processor has it. Weights, moments, norms, softmax and loss stay fp32.",
            HelpName = "auto|fp32|bf16|fp16|tf32",
            DefaultValueFactory = _ => Auto,
        };
        return option.AcceptOnlyFromAmong(Auto, "fp32", "bf16", "fp16", "tf32");
    }

    /// <summary>Whether the machine decides.</summary>
    public static bool IsAuto(string asked) => asked == Auto;

    /// <param name="asked">What the option says.</param>
    /// <param name="model">Its widths are measured.</param>
    /// <returns>The precision, and a sentence that says why.</returns>
    /// <exception cref="ConfigException">This machine cannot compute so.</exception>
    public static (ComputePrecision Precision, string Reason) Choose(string asked, GptConfig model)
        => IsAuto(asked) ? PrecisionMeasurement.Choose(model, Processor.Detect().IsBf16Fast) : AsAsked(asked);

    /// <param name="asked">What the option says, not auto.</param>
    /// <returns>The precision, and a sentence that says why.</returns>
    /// <exception cref="ConfigException">This machine cannot compute so.</exception>
    public static (ComputePrecision Precision, string Reason) AsAsked(string asked) => asked switch
    {
        "bf16" when !Processor.Detect().IsBf16Fast => (ComputePrecision.Bf16, "Precision: bf16, as asked; this processor has no bf16 dot products, so fp32 would be several times as fast."),
        "fp32" or "bf16" => (Enum.Parse<ComputePrecision>(asked, ignoreCase: true), $"Precision: {asked}, as asked."),
        _ => throw new ConfigException($"--precision {asked} needs CUDA, and this build computes on the processor. Use auto, fp32 or bf16."),
    };
}
