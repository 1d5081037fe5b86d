using System.CommandLine;
using NextPatch.Core.Configuration;

namespace NextPatch.Cli.Tokenizers;

/// <summary>The option <c>--precision</c> where a tokenizer computes; nothing is measured, auto is fp32.</summary>
internal static class TokenizerPrecision
{
    private const string Bf16 = "bf16";

    /// <param name="description">What it means for the command.</param>
    public static Option<string> CreateOption(string description) => new Option<string>("--precision")
    {
        Description = description, HelpName = "auto|fp32|bf16", DefaultValueFactory = _ => "auto",
    }.AcceptOnlyFromAmong("auto", "fp32", Bf16);

    public static ComputePrecision From(ParseResult parsed, Option<string> option)
        => parsed.GetRequiredValue(option) == Bf16 ? ComputePrecision.Bf16 : ComputePrecision.Fp32;
}
