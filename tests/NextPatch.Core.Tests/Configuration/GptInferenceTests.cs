using NextPatch.Core.Checkpoints;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Configuration;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Tests.Configuration;

public sealed class GptInferenceTests
{
    [Theory]
    [InlineData("B")]
    [InlineData("L")]
    [InlineData("XXL")]
    [InlineData("3B")]
    [InlineData("small")]
    public void Every_preset_is_recognised_by_its_shapes(string name)
    {
        var expected = GptPresets.Get(name);
        Infer(expected, 0, [], inferred =>
        {
            Assert.Equal(expected, inferred);
            return true;
        });
    }

    [Fact]
    public void Heads_grid_and_classes_of_an_unusual_model_come_from_its_table_and_settings()
    {
        var odd = new GptConfig
        {
            Width = 48, LayerCount = 3, HeadCount = 6, KvHeadCount = 2, VocabularySize = 50, GridSide = 4, ClassCount = 7, FfnMultipleOf = 32,
            ClassDropout = 0,
        };
        Infer(odd, rotaryRows: 17, new() { ["num_classes"] = 7L }, inferred =>
        {
            Assert.Equal(
                (6, 2, 50, 4, 7, 0.0), (inferred.HeadCount, inferred.KvHeads, inferred.VocabularySize, inferred.GridSide, inferred.ClassCount,
                inferred.ClassDropout));
            return inferred.FfnWidth == odd.FfnWidth;
        });
        Infer(odd with { ClassDropout = 0.1, FfnMultiplier = 1.3 }, rotaryRows: 17, [], inferred =>
        {
            Assert.Equal((7, true), (inferred.ClassCount, inferred.HasNullClass));
            return inferred.FfnWidth == (odd with { FfnMultiplier = 1.3 }).FfnWidth;
        });
    }

    [Fact]
    public void The_settings_of_the_published_code_tell_the_grid()
        => Infer(GptPresets.Get("B"), 0, new() { ["image_size"] = 384L, ["downsample_size"] = 16L }, inferred => inferred.GridSide == 24);

    [Fact]
    public void A_model_whose_heads_cannot_be_known_is_refused()
        => Assert.Contains(
            "number of heads", Assert.Throws<ConfigException>(() => Infer(GptPresets.Get("B") with { LayerCount = 5 }, 0, [], _ => true)).Message,
            StringComparison.Ordinal);

    [Fact]
    public void Captions_and_their_rows_are_read_off_the_shapes()
    {
        var text = new TextCondition { FeatureWidth = 2048, TokenCount = 120 };
        var config = GptPresets.Get("XL") with { Text = text };
        Infer(
            config, 120 + (32 * 32), [], c => c.Text == text && c.GridSide == 32 && c.ClassCount == 1 && c.HasNullClass && c.ConditionTokens == 120);
    }

    [Theory]
    [InlineData("cls_embedding.cap_proj.fc1.weight", "or cls_embedding.cap_proj.fc1.weight with cls_embedding.uncond_embedding")]
    [InlineData("encoder.conv_in.weight", "does not hold a transformer that is conditioned on classes or captions")]
    public void Other_models_are_refused_as_what_they_are(string key, string named)
    {
        using var folder = new TemporaryFolder();
        SafetensorsFile.Write(folder["a.safetensors"], [new(key, HostTensor.FromSingles([1], [1]))]);
        using var file = WeightsFile.Open(folder["a.safetensors"]);
        Assert.Contains(named, Assert.Throws<ConfigException>(() => GptInference.Infer(file)).Message, StringComparison.Ordinal);
    }

    private static void Infer(GptConfig config, int rotaryRows, Dictionary<object, object?> settings, Func<GptConfig, bool> check)
    {
        var shapes = new Dictionary<string, IReadOnlyList<long>>
        {
            ["tok_embeddings.weight"] = [config.VocabularySize, config.Width],
        };
        if (config.Text is { } text)
        {
            shapes["cls_embedding.cap_proj.fc1.weight"] = [config.Width, text.FeatureWidth];
            shapes["cls_embedding.uncond_embedding"] = [text.TokenCount, text.FeatureWidth];
        }
        else
        {
            shapes["cls_embedding.embedding_table.weight"] = [config.ClassRows, config.Width];
        }

        for (var i = 0; i < config.LayerCount; i++)
        {
            shapes[$"layers.{i}.attention.wqkv.weight"] = [config.QkvWidth, config.Width];
            shapes[$"layers.{i}.feed_forward.w1.weight"] = [config.FfnWidth, config.Width];
        }

        Assert.True(check(
            GptInference.Infer("a.pt", shapes, rotaryRows > 0 ? [rotaryRows, config.HeadWidth / 2, 2] : null, settings, gridSide: null)));
    }
}
