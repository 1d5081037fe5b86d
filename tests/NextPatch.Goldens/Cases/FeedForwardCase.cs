using NextPatch.Core.Configuration;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Loading;
using static TorchSharp.torch;

namespace NextPatch.Goldens.Cases;

/// <summary>The feed-forward part and its width.</summary>
internal static class FeedForwardCase
{
    public static void Run(CaseRun run)
    {
        var arrays = run.Golden.Arrays();
        foreach (var item in run.Golden.Config["items"]!.AsArray())
        {
            var key = (string)item!["key"]!;
            var config = new GptConfig
            {
                Width = (int)item["dim"]!, LayerCount = 1, HeadCount = 1,
                FfnMultipleOf = (int)item["multiple_of"]!, FfnMultiplier = (double?)item["ffn_dim_multiplier"],
            };
            run.Same(key + " hidden", config.FfnWidth, (int)item["hidden"]!);
            using var module = new SwiGlu(config);
            module.eval();
            StateLoader.Load(module, module.state_dict().Keys.ToDictionary(name => name, name => arrays[$"{key}.{name}"]), key);
            using var noGrad = no_grad();
            run.Close(key + ".y", module.forward(StateLoader.ToTensor(arrays[key + ".x"])), arrays[key + ".y"], run.Golden.Tolerance("default"));
        }
    }
}
