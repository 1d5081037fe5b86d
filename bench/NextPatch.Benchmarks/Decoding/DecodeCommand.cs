using System.CommandLine;

namespace NextPatch.Benchmarks.Decoding;

/// <summary><c>decode-speed</c>: the engines' time per code.</summary>
internal static class DecodeCommand
{
    public static bool Know(string[] args) => args is ["decode-speed", ..];

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
        return new RootCommand("Benchmarks of generation.") { speed }.Parse(args).Invoke();
    }
}
