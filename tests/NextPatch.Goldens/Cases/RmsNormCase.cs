using NextPatch.Core.Tensors;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Loading;
using TorchSharp;
using static TorchSharp.torch;

namespace NextPatch.Goldens.Cases;

/// <summary>The norm, in float32 and as a module cast to bfloat16.</summary>
internal static class RmsNormCase
{
    public static void Run(CaseRun run)
    {
        var arrays = run.Golden.Arrays();
        foreach (var item in run.Golden.Config["items"]!.AsArray())
        {
            var key = (string)item!["key"]!;
            using var norm = new RmsNorm((long)item["dim"]!, (double)item["eps"]!);
            StateLoader.Load(norm, new Dictionary<string, HostTensor> { ["weight"] = arrays[key + ".w"] }, key);
            using var noGrad = no_grad();
            var x = StateLoader.ToTensor(arrays[key + ".x"]);
            run.Close(key + ".y", norm.forward(x), arrays[key + ".y"], run.Golden.Tolerance("default"));
            norm.to(ScalarType.BFloat16);
            run.Close(key + ".y_bf16_as_f32", norm.forward(x.to_type(ScalarType.BFloat16)), arrays[key + ".y_bf16_as_f32"],
                run.Golden.Tolerance("bf16"));
        }
    }
}
