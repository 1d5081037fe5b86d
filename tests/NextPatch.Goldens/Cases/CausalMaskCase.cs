using NextPatch.Torch.Gpt;
using NextPatch.Torch.Loading;
using static TorchSharp.torch;

namespace NextPatch.Goldens.Cases;

/// <summary>The attention mask of a generation with padded condition tokens.</summary>
internal static class CausalMaskCase
{
    public static void Run(CaseRun run)
    {
        var golden = run.Golden;
        var arrays = golden.Arrays();
        var (padding, expected, args) = (arrays["emb_masks"], arrays["causal_mask"], golden.Config["ModelArgs"]!);
        var (conditionTokens, isToken) = ((int)args["cls_token_num"]!, StateLoader.ToTensor(padding).to_type(ScalarType.Bool));
        var rows = (double)golden.Config["cfg_scale"]! > 1 ? cat([isToken, isToken]) : isToken;  // [B or 2 B, K]
        var side = (conditionTokens + (int)golden.Config["n_new"]! + 7) / 8 * 8;                 // the published mask is rounded up
        var mask = PrefixMask.Build(rows, side).squeeze(1).to_type(ScalarType.Float32);          // [B or 2 B, S, S]
        run.Close("causal_mask", mask, expected, golden.Tolerance("default"));
        if (arrays.TryGetValue("freqs_shape", out var shape))
        {
            int headWidth = (int)args["dim"]! / (int)args["n_head"]!, grid = GoldenCase.SideOf((long)args["block_size"]!);
            var table = RotaryEmbedding2d.Table(grid, headWidth, conditionTokens, (double)args["rope_base"]!);
            run.SameList("freqs_shape", [table.Length / headWidth, headWidth / 2, 2], shape.ToInt64());
        }
    }
}
