using NextPatch.Torch.Gpt;

namespace NextPatch.Goldens.Cases;

/// <summary>The attention mask of a generation with padded condition tokens.</summary>
internal static class CausalMaskCase
{
    public static void Run(CaseRun run)
    {
        var golden = run.Golden;
        var arrays = golden.Arrays();
        var (padding, expected, args) = (arrays["emb_masks"], arrays["causal_mask"], golden.Config["ModelArgs"]!);
        var (conditionTokens, isToken) =
            ((int)args["cls_token_num"]!, padding.ToInt64().Chunk((int)padding.Shape[1]).Select(row => row.Select(v => v != 0).ToArray()));
        var (mask, side) = PrefixMask.Build([.. isToken], conditionTokens + (int)golden.Config["n_new"]!, (double)golden.Config["cfg_scale"]! > 1);
        run.Same("mask side", side, (int)expected.Shape[^1]);
        run.Close("causal_mask", [.. mask.Select(may => may ? 1.0 : 0.0)], expected.ToDoubles(), expected.Shape, golden.Tolerance("default"));
        if (arrays.TryGetValue("freqs_shape", out var shape))
        {
            int headWidth = (int)args["dim"]! / (int)args["n_head"]!, grid = GoldenCase.SideOf((long)args["block_size"]!);
            var table = RotaryEmbedding2d.Table(grid, headWidth, conditionTokens, (double)args["rope_base"]!);
            run.SameList("freqs_shape", [table.Length / headWidth, headWidth / 2, 2], shape.ToInt64());
        }
    }
}
