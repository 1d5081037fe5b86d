using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Patches;
using static TorchSharp.torch;

namespace NextPatch.Torch.Tests.Gpt;

[NoTensorLeaks]
public sealed class GptModelTests
{
    private static MeanPatchGrouping Grouping(int side) => new(new PatchGeometry(TinyGpt.Config.GridSide, side));

    [Fact]
    public void State_keys_follow_the_published_names_in_order()
    {
        using var model = TinyGpt.Create();
        Assert.Equal(
            ["cls_embedding.embedding_table.weight", "tok_embeddings.weight",
             .. Enumerable.Range(0, 2).SelectMany(
                 i => (string[])[$"layers.{i}.attention.wqkv.weight", $"layers.{i}.attention.wo.weight", $"layers.{i}.feed_forward.w1.weight",
                 $"layers.{i}.feed_forward.w3.weight", $"layers.{i}.feed_forward.w2.weight", $"layers.{i}.attention_norm.weight",
                     $"layers.{i}.ffn_norm.weight"]),
             "norm.weight", "output.weight"],
            StateLoader.Capture(model).Select(p => p.Key));
    }

    [Fact]
    public void Parameter_count_is_what_the_configuration_says()
    {
        using var model = TinyGpt.Create();
        Assert.Equal(TinyGpt.Config.ParameterCount, StateLoader.Capture(model).Sum(p => (long)p.Value.Count));
    }

    /// <summary>Changing code t must not change what predicts codes up to t.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Predictions_do_not_see_their_own_patch(int side)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = TinyGpt.Create();
        var geometry = new PatchGeometry(4, side);
        var (labels, codes) = TinyGpt.Batch(TinyGpt.Config, 1);
        var before = model.PatchHidden(labels, codes, Grouping(side));
        for (var patch = 0; patch < geometry.PatchCount; patch++)
        {
            var changed = codes.clone();
            var index = geometry.CodeIndex(patch, geometry.CodesPerPatch - 1);
            changed[0, index] = (changed[0, index] + 1).remainder(TinyGpt.Config.VocabularySize);
            var difference = (model.PatchHidden(labels, changed, Grouping(side)) - before).abs().amax([0, 2]);
            Assert.Equal(0f, difference.narrow(0, 0, patch + 1).max().item<float>());
            if (patch + 1 < geometry.PatchCount)
            {
                Assert.True(difference.narrow(0, patch + 1, geometry.PatchCount - patch - 1).max().item<float>() > 1e-4f);
            }
        }
    }

    [Theory]
    [InlineData(null)]
    [InlineData(2)]
    public void Cached_decode_matches_full_forward(int? kvHeads)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var config = TinyGpt.Config with { KvHeadCount = kvHeads };
        using var model = TinyGpt.Create(config);
        model.eval();
        var (labels, codes) = TinyGpt.Batch(config, 3);
        var full = model.AllLogits(labels, codes, Grouping(1)); // [B, 1 + T, V]
        using var cache = new KvCache(config, 3, config.CodesPerImage + 1, model.Head);
        var steps = new List<Tensor> { model.Prefill(labels, cache) };
        for (var t = 0; t < config.CodesPerImage; t++)
        {
            steps.Add(model.DecodeStep(codes.select(1, t), cache));
        }

        Assert.True((stack(steps, 1) - full).abs().max().item<float>() < 1e-5f);
    }

    [Fact]
    public void The_loss_does_not_depend_on_the_modules_mode()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = TinyGpt.Create();
        var (labels, codes) = TinyGpt.Batch(TinyGpt.Config, 2);
        model.train();
        var training = model.PatchHidden(labels, codes, Grouping(2));
        model.eval();
        Assert.Equal(0f, (training - model.PatchHidden(labels, codes, Grouping(2))).abs().max().item<float>());
    }

    [Fact]
    public void A_model_without_label_dropout_has_no_null_class()
    {
        using var model = TinyGpt.Create(TinyGpt.Config with { ClassDropout = 0 });
        Assert.Equal([3, 32], StateLoader.Capture(model)[0].Value.Shape);
    }

    [Fact]
    public void Drop_path_drops_whole_branches_and_keeps_the_mean()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var config = TinyGpt.Config with { DropPath = 0.5 };
        using var model = TinyGpt.Create(config);
        using var plain = TinyGpt.Create();
        var (labels, codes) = TinyGpt.Batch(config, 2);
        model.eval();
        Assert.Equal(0f, (model.PatchHidden(labels, codes, Grouping(1)) - plain.PatchHidden(labels, codes, Grouping(1))).abs().max().item<float>());
        model.train();
        manual_seed(5);
        Assert.True((model.PatchHidden(labels, codes, Grouping(1)) - plain.PatchHidden(
            labels, codes, Grouping(1))).abs().max().item<float>() > 0.01f);
    }

    [Fact]
    public void Strict_loading_lists_every_problem_at_once()
    {
        using var model = TinyGpt.Create();
        using var other = TinyGpt.Create(TinyGpt.Config with { ClassCount = 5 });
        var state = StateLoader.Capture(other).ToDictionary();
        state.Remove("norm.weight");
        state["extra.weight"] = state["output.weight"];
        var error = Assert.Throws<NextPatchException>(() => StateLoader.Load(model, state, "b.safetensors"));
        Assert.Contains("b.safetensors", error.Message, StringComparison.Ordinal);
        Assert.Contains("1 missing: norm.weight", error.Message, StringComparison.Ordinal);
        Assert.Contains("1 unexpected: extra.weight", error.Message, StringComparison.Ordinal);
        Assert.Contains("'cls_embedding.embedding_table.weight' is [6, 32] but the model expects [4, 32]", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Equal_seeds_draw_equal_weights_and_the_published_deviation()
    {
        var config = TinyGpt.Config with { Initialization = WeightInitialization.Published, Width = 128 };
        using var a = new GptModel(config);
        using var b = new GptModel(config);
        GptInitializer.Initialize(a, 9);
        GptInitializer.Initialize(b, 9);
        foreach (var (first, second) in StateLoader.Capture(a).Zip(StateLoader.Capture(b)))
        {
            Assert.Equal(first.Value.Bytes.ToArray(), second.Value.Bytes.ToArray());
        }

        var qkv = StateLoader.Capture(a).Single(p => p.Key == "layers.0.attention.wqkv.weight").Value.ToSingles();
        Assert.InRange(Math.Sqrt(qkv.Average(v => (double)v * v)), 0.0195, 0.0205);
        Assert.All(StateLoader.Capture(a).Single(p => p.Key == "output.weight").Value.ToSingles(), v => Assert.Equal(0f, v));
    }
}
