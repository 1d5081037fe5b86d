using NextPatch.Torch.Gpt;
using NextPatch.Torch.Loading;
using static TorchSharp.torch;

namespace NextPatch.Goldens.Cases;

/// <summary>Rotation of heads, in float32 and in bfloat16.</summary>
internal static class RopeApplyCase
{
    public static void Run(CaseRun run)
    {
        var arrays = run.Golden.Arrays();
        foreach (var item in run.Golden.Config["items"]!.AsArray())
        {
            var key = (string)item!["key"]!;
            var x = StateLoader.ToTensor(arrays[key + ".x"]);
            var factors = StateLoader.ToTensor(arrays[key + ".freqs"]).view_as_complex().unsqueeze(1);
            run.Close(key + ".y", RotaryEmbedding2d.Rotate(x, factors), arrays[key + ".y"], run.Golden.Tolerance("default"));
            run.Close(key + ".y_bf16_as_f32", RotaryEmbedding2d.Rotate(x.to_type(ScalarType.BFloat16), factors), arrays[key + ".y_bf16_as_f32"],
                run.Golden.Tolerance("bf16"));
        }
    }
}
