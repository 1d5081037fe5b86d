using NextPatch.Core.Configuration;
using NextPatch.Core.Tensors;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Tokenizer;

namespace NextPatch.Goldens.Cases;

/// <summary>State keys, in order, shapes and numbers of parameters of the published tokenizers.</summary>
internal static class TokenizerPresetsCase
{
    public static void Run(CaseRun run)
    {
        foreach (var (name, preset) in run.Golden.Json(run.Golden.FileEnding(".json")).AsObject())
        {
            using var tokenizer = new VqTokenizer(TokenizerPresets.Get(name), seed: 0);
            run.SameList(
                $"{name} state",
                StateLoader.StateOf(tokenizer).Select(p => $"{p.Key} {HostTensor.Describe(p.Value.shape)}"),
                preset!["state_dict"]!.AsArray().Select(e => $"{(string)e![0]!} {HostTensor.Describe(e[1]!.AsArray().Select(x => (long)x!))}"));
            run.Same($"{name} parameters", tokenizer.parameters().Sum(p => p.numel()), (long)preset["n_params"]!);
        }
    }
}
