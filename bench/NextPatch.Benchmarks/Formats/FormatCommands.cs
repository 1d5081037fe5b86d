using System.CommandLine;
using NextPatch.Cli.Benchmarking;
using NextPatch.Core.Configuration;
using NextPatch.Core.Tensors;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Tokenizer;

namespace NextPatch.Benchmarks.Formats;

/// <summary>Files to measure with, and the speed of conversions.</summary>
internal static class FormatCommands
{
    public static Command CreateWeights()
    {
        var preset = CreatePreset();
        var output = new Option<string>("--output") { Description = "A .pt file; of int8 a folder as quantize writes it.", Required = true };
        var type = new Option<string>("--dtype") { Description = "f32, bf16, f16 or int8.", DefaultValueFactory = _ => "f32" };
        type.AcceptOnlyFromAmong("f32", "bf16", "f16", "int8");
        var command = new Command("make-weights", "Writes weights of a published size, made by formula, in the published layout.")
        {
            preset, output, type,
        };
        command.SetAction(parsed =>
        {
            if (parsed.GetValue(type) == "int8")
            {
                FormulaWeights.WriteInt8(parsed.GetRequiredValue(output), GptPresets.Get(parsed.GetRequiredValue(preset)));
                return;
            }

            FormulaWeights.Write(parsed.GetRequiredValue(output), parsed.GetRequiredValue(preset), parsed.GetValue(type) switch
            {
                "bf16" => ElementType.BFloat16,
                "f16" => ElementType.Float16,
                _ => ElementType.Float32,
            });
        });
        return command;
    }

    public static Command CreateTokenizer()
    {
        var network = new Option<string>("--preset")
        {
            Description = "small (32x32 pixels, 8x8 codes), VQ-16 or VQ-8.", DefaultValueFactory = _ => "small",
        };
        var place = new Option<string>("--output") { Description = "A folder.", Required = true };
        var command = new Command("make-tokenizer", "Writes an untrained tokenizer.") { network, place };
        command.SetAction(parsed =>
        {
            NativeBackend.EnsureLoaded();
            var name = parsed.GetRequiredValue(network);
            using var made = new VqTokenizer(name == "small" ? new TokenizerConfig() : TokenizerPresets.Get(name), seed: 1);
            made.SaveTo(parsed.GetRequiredValue(place));
        });
        return command;
    }

    public static Command CreateSpeed()
    {
        var preset = CreatePreset();
        var folder = new Option<string>("--folder")
        {
            Description = "Where the files go, four times 1.4 GB for L; deleted afterwards.", DefaultValueFactory = _ => "convert-speed",
        };
        var rounds = new Option<int>("--rounds") { Description = "Conversions and copies of each kind.", DefaultValueFactory = _ => 5 };
        var command = new Command(
            "convert-speed", "Measures 'nextpatch convert' against 'cp --reflink=never' and fsync, in turn, and the memory of the conversion.")
        { preset, folder, rounds };
        command.SetAction(parsed => ConvertSpeed.Run(parsed.GetRequiredValue(preset), parsed.GetRequiredValue(folder), parsed.GetValue(rounds)));
        return command;
    }

    private static Option<string> CreatePreset() => new("--preset") { Description = "B, L, XL, XXL, ...", DefaultValueFactory = _ => "L" };
}
