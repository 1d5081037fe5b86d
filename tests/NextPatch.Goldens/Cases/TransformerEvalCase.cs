using System.Text.RegularExpressions;
using NextPatch.Core.Patches;
using NextPatch.Core.Tensors;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Patches;
using TorchSharp;
using static TorchSharp.torch;

namespace NextPatch.Goldens.Cases;

/// <summary>
/// Evaluation-mode logits of every position, whole and in patches, in float32 and with the whole model in bfloat16; the null class.
/// </summary>
internal static partial class TransformerEvalCase
{
    public static void Run(CaseRun run)
    {
        var golden = run.Golden;
        var arrays = golden.Arrays();
        var weights = golden.Weights(golden.FileEnding(".pt"));
        using var noGrad = no_grad();
        using var model = new GptModel(golden.Gpt());
        StateLoader.Load(model, weights, golden.FileEnding(".pt"));
        model.eval();
        var labels = StateLoader.ToTensor(arrays["cond_idx"]);
        var codes = StateLoader.ToTensor(arrays["idx"]);

        Tensor Logits(int patchSize) => model
            .AllLogits(labels, codes, new MeanPatchGrouping(new PatchGeometry(model.Config.GridSide, GoldenCase.SideOf(patchSize))));
        run.Close("logits", Logits(1), arrays["logits"], golden.Tolerance("logits"));
        foreach (var (name, expected) in arrays)
        {
            if (PatchLogits().Match(name) is { Success: true } match)
            {
                run.Close(name, Logits(int.Parse(match.Groups[1].Value)), expected, golden.Tolerance(name, "logits"));
            }
        }

        if (arrays.TryGetValue("cls_emb_forced", out var forced))
        {
            using var embedding = new ClassEmbedding(model.Config);
            StateLoader.Load(
                embedding, new Dictionary<string, HostTensor>
                {
                    ["embedding_table.weight"] = weights["cls_embedding.embedding_table.weight"],
                }, golden.Name);
            var drop = StateLoader.ToTensor(arrays["force_drop_ids"]).eq(1);
            var dropped = StateLoader.ToTensor(arrays["cond_clamped"]).masked_fill(drop, model.Config.ClassCount);
            run.Close("cls_emb_forced", embedding.forward(dropped), forced, golden.Tolerance("cls_emb_forced"));
        }

        if (arrays.TryGetValue("logits_bf16_model", out var lowPrecision))
        {
            model.to(ScalarType.BFloat16);
            var actual = StateLoader.ToHost(Logits(1)).ToDoubles();
            var mean = actual.Zip(lowPrecision.ToDoubles(), (a, b) => Math.Abs(a - b)).Average();
            run.Same("logits_bf16_model elements", actual.Length, lowPrecision.Count);
            run.Close("logits_bf16_model mean difference", mean, 0,
                new Tolerance((double)golden.Entry["tolerance"]!["logits_bf16_model"]!["mean_abs_diff_max"]!, 0));
        }
    }

    [GeneratedRegex(@"^logits_eval_p(\d+)$")]
    private static partial Regex PatchLogits();
}
