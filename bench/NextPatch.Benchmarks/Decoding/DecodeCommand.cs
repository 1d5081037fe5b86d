using System.CommandLine;

namespace NextPatch.Benchmarks.Decoding;

/// <summary><c>decode-speed</c> and <c>tokenizer-speed</c>: both engines' time per code and per image.</summary>
internal static class DecodeCommand
{
    public static bool Know(string[] args) => args is ["decode-speed" or "tokenizer-speed", ..];

    public static int Run(string[] args)
    {
        var preset = new Option<string>("--preset") { Description = "B, L, XL, ...", DefaultValueFactory = _ => "B" };
        var images = new Option<int[]>("--images")
        {
            Description = "Images side by side.", DefaultValueFactory = _ => [1, 16], AllowMultipleArgumentsPerToken = true,
        };
        var codes = new Option<int>("--codes") { Description = "Positions measured.", DefaultValueFactory = _ => 16 };
        var rounds = new Option<int>("--rounds") { Description = "Measurements of each.", DefaultValueFactory = _ => 5 };
        var withoutTorch = new Option<bool>("--no-torch") { Description = "Leaves the TorchSharp engine out." };
        var speed = new Command("decode-speed", "Milliseconds per code, guided, beside the read bandwidth.")
        {
            preset, images, codes, rounds, withoutTorch,
        };
        speed.SetAction(parsed => DecodeSpeed.Run(
            parsed.GetRequiredValue(preset), parsed.GetRequiredValue(images), parsed.GetValue(codes), parsed.GetValue(rounds),
                !parsed.GetValue(withoutTorch)));
        var tokenizer = new Option<string>("--tokenizer") { Description = "VQ-16 or VQ-8.", DefaultValueFactory = _ => "VQ-16" };
        var pixels = new Command("tokenizer-speed", "Seconds from the codes of one image to its pixels.") { tokenizer, rounds };
        pixels.SetAction(parsed => TokenizerSpeed.Run(parsed.GetRequiredValue(tokenizer), parsed.GetValue(rounds)));
        return new RootCommand("Benchmarks of generation.") { speed, pixels }.Parse(args).Invoke();
    }
}
