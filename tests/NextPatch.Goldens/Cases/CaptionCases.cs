using System.Text.Json.Nodes;
using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;
using NextPatch.Core.Tensors;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Gpt.Fused;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Patches;
using static TorchSharp.torch;

namespace NextPatch.Goldens.Cases;

/// <summary>A transformer that captions condition: the embedding of captions, and training with masks, unusable images and patches.</summary>
internal static class CaptionCases
{
    private const string WeightPrefix = "w.";

    public static void RunEmbedder(CaseRun run)
    {
        var (arrays, sizes) = (run.Golden.Arrays(), run.Golden.Config);
        var text = new TextCondition { FeatureWidth = (int)sizes["in_channels"]!, TokenCount = (int)sizes["token_num"]! };
        using var embedding = new CaptionEmbedding(new GptConfig { Width = (int)sizes["hidden"]!, LayerCount = 1, HeadCount = 1, Text = text }, text);
        StateLoader.Load(
            embedding, arrays.Where(a => a.Key.StartsWith(WeightPrefix, StringComparison.Ordinal))
                .ToDictionary(a => a.Key[WeightPrefix.Length..], a => a.Value), run.Golden.Name);
        var captions = StateLoader.ToTensor(arrays["caption"]);
        var dropped = StateLoader.ToTensor(arrays["force_drop_ids"]).eq(1).reshape(-1, 1, 1);
        var given = where(dropped, embedding.Unconditional, captions);
        run.Close("out", embedding.forward(captions), arrays["out"], run.Golden.Tolerance("default"));
        run.Close("out_forced", embedding.forward(given), arrays["out_forced"], run.Golden.Tolerance("default"));
    }

    /// <summary>
    /// The published loss leaves images out by a weight of zero (<c>valid</c>); here they do not come into a batch at all, so loss and gradients are
    /// compared with those of the others. A batch without any is not formed.
    /// </summary>
    public static void RunTraining(CaseRun run)
    {
        var golden = run.Golden;
        using var model = new GptModel(golden.Gpt());
        StateLoader.Load(model, golden.Weights(golden.FileEnding(".pt")), golden.FileEnding(".pt"));
        model.train();
        var input = golden.Arrays(golden.FileEnding(".in.npz"));
        var valid = StateLoader.ToTensor(input["valid"]).ne(0);
        var all = ones_like(valid);
        foreach (var (tag, isMasked, used, size) in new[]
        {
            ("valid", true, valid, 1), ("novalid", true, all, 1), ("nomask", false, all, 1), ("allinvalid", true, zeros_like(valid), 1),
            ("p4", false, all, 4),
        })
        {
            Check(run, model, input, golden.Arrays(golden.FileEnding($".{tag}.npz")), tag, isMasked, used, size);
        }
    }

    private static void Check(
        CaseRun run, GptModel model, IReadOnlyDictionary<string, HostTensor> input, IReadOnlyDictionary<string, HostTensor> expected, string tag,
        bool isMasked, Tensor used, int patchSize)
    {
        using var scope = NewDisposeScope();
        var (captions, codes) = (StateLoader.ToTensor(input["caption"]), StateLoader.ToTensor(input["idx"]));
        var lengths = StateLoader.ToTensor(input["emb_len"]).unsqueeze(1);                                  // [B, 1]
        var rows = arange(captions.size(1)).unsqueeze(0);                                                   // [1, K]
        var isToken = isMasked ? rows.ge(captions.size(1) - lengths) : null;                                // [B, K]
        var grouping = new MeanPatchGrouping(new PatchGeometry(model.Config.GridSide, GoldenCase.SideOf(patchSize)));
        var tolerances = run.Golden.Entry["tolerance"]![tag] ?? run.Golden.Entry["tolerance"]!["nomask"]!;
        if (isMasked)
        {
            var recorded = StateLoader.ToTensor(input["attn_mask"]).to_type(ScalarType.Float32);            // [B, 1, S, S]
            run.Close($"{tag} mask", PrefixMask.Build(isToken!, recorded.size(2)).to_type(ScalarType.Float32), StateLoader.ToHost(recorded), default);
        }

        using (no_grad())
        {
            var logits = nn.functional.linear(model.PatchHidden(captions, codes, grouping, isToken), model.Head);
            run.Close($"{tag} logits", logits, expected["logits"], Tolerance.Parse(tolerances["logits"]));
        }

        if (expected.TryGetValue("freqs_cis", out var angles))
        {
            var config = model.Config;
            var table = RotaryEmbedding2d.Table(grouping.Geometry.PatchesPerSide, config.HeadWidth, config.ConditionTokens, config.RopeBase);
            run.Close($"{tag} freqs_cis", tensor(table, [table.Length / config.HeadWidth, config.HeadWidth / 2, 2]), angles, new Tolerance(1e-6, 0));
        }

        var chosen = used.nonzero().reshape(-1);                                                            // [B']
        if (chosen.size(0) == 0)
        {
            run.Close($"{tag} loss", 0, expected["loss"].ToDoubles().Single(), default);
            return;
        }

        model.zero_grad();
        var (keptCodes, keptTokens) = (codes.index_select(0, chosen), isToken?.index_select(0, chosen));
        var hidden = model.PatchHidden(captions.index_select(0, chosen), keptCodes, grouping, keptTokens);
        var (loss, gradient) = PatchLoss.Backward(hidden, model.Head, IPatchGrouping.ByPatch(keptCodes, grouping.Geometry));
        hidden.backward([gradient]);
        run.Close($"{tag} loss", loss.reshape(1), expected["loss"], Tolerance.Parse(tolerances["loss"]));
        if (expected.Keys.Any(k => k.StartsWith(TransformerGradientCase.GradientPrefix, StringComparison.Ordinal)))
        {
            TransformerGradientCase.CheckGradients(run, model, tag, expected, Tolerance.Parse(tolerances["grad"]));
        }

        model.zero_grad();
        if (tolerances["grad"] is { } gradients)
        {
            CheckFused(run, model, input, expected, tag, isMasked ? lengths : null, chosen, grouping.Geometry, (tolerances["loss"]!, gradients));
        }
    }

    /// <summary>The fused step, with as many condition rows as the longest caption has tokens.</summary>
    private static void CheckFused(
        CaseRun run, GptModel model, IReadOnlyDictionary<string, HostTensor> input, IReadOnlyDictionary<string, HostTensor> expected, string tag,
        Tensor? lengths, Tensor chosen, PatchGeometry geometry, (JsonNode Loss, JsonNode Gradients) tolerances)
    {
        var captions = StateLoader.ToTensor(input["caption"]).index_select(0, chosen);                      // [B', K, W]
        int[] tokens = [.. lengths is null ? Enumerable.Repeat(captions.size(1), (int)chosen.size(0)).Select(n => (int)n)
            : lengths.index_select(0, chosen).data<long>().ToArray().Select(n => (int)n)];
        var rows = CaptionBatch.RowsFor(tokens);
        var batch = new CaptionBatch(
            captions.narrow(1, captions.size(1) - rows, rows).contiguous().data<float>().ToArray(), tokens, new bool[tokens.Length]);
        var codes = StateLoader.ToTensor(input["idx"]).index_select(0, chosen).data<long>().ToArray();
        using var pass = new FusedGpt(model);
        pass.Forward(new long[tokens.Length], codes, geometry, captions: batch);
        pass.Backward();
        run.Close($"{tag} loss of the training pass", tensor(new[] { (float)pass.TakeLoss() }), expected["loss"], Tolerance.Parse(tolerances.Loss));
        if (expected.Keys.Any(k => k.StartsWith(TransformerGradientCase.GradientPrefix, StringComparison.Ordinal)))
        {
            TransformerGradientCase.CheckGradients(run, model, $"{tag} training pass", expected, Tolerance.Parse(tolerances.Gradients));
        }

        model.zero_grad();
    }
}
