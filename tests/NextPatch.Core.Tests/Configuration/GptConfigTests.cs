using NextPatch.Core.Configuration;

namespace NextPatch.Core.Tests.Configuration;

public sealed class GptConfigTests
{
    [Theory]
    [InlineData("B", 110_888_448)]
    [InlineData("L", 342_910_976)]
    [InlineData("XL", 774_699_520)]
    [InlineData("GPT-XXL", 1_410_972_672)]
    [InlineData("xxxl", 3_893_027_840)]
    [InlineData("1B", 1_199_616_000)]
    [InlineData("3B", 3_096_659_200)]
    [InlineData("7B", 6_614_589_440)]
    public void Presets_have_the_published_parameter_counts(string name, long count) => Assert.Equal(count, GptPresets.Get(name).ParameterCount);

    [Fact]
    public void An_unknown_preset_lists_those_there_are()
    {
        var error = Assert.Throws<ConfigException>(() => GptPresets.Get("GPT-Q"));
        Assert.Contains("GPT-Q", error.Message, StringComparison.Ordinal);
        Assert.Contains("XXXL", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(24, 256, null, 256)]
    [InlineData(48, 16, null, 128)]
    [InlineData(40, 8, 1.3, 144)]
    [InlineData(768, 256, null, 2048)]
    public void Feed_forward_width_follows_the_published_rounding(int width, int multipleOf, double? multiplier, int expected)
        => Assert.Equal(
            expected, new GptConfig
            {
                Width = width, LayerCount = 1, HeadCount = 1, FfnMultipleOf = multipleOf, FfnMultiplier = multiplier,
            }.FfnWidth);

    [Fact]
    public void Every_problem_comes_in_one_message()
    {
        var error = Assert.Throws<ConfigException>(() => new GptConfig { Width = 10, LayerCount = 0, HeadCount = 3, TokenDropout = 1 }.Validated());
        Assert.Equal(3, error.Problems.Count);
    }

    [Fact]
    public void Recipes_differ_where_paper_and_repository_do()
    {
        var (paperModel, paper) = TrainingRecipes.Get("paper", GptPresets.Get("B"));
        var (repositoryModel, repository) = TrainingRecipes.Get("repository", GptPresets.Get("B"));
        Assert.Equal((5, 0.1), (paper.WarmupEpochs, paperModel.AttentionDropout));
        Assert.Equal((1, 0.0), (repository.WarmupEpochs, repositoryModel.AttentionDropout));
        Assert.Equal(repository, paper with { WarmupEpochs = 1 });
    }

    [Fact]
    public void Short_sequences_get_larger_micro_batches_of_as_many_tokens()
    {
        var training = new TrainingConfig { BatchSize = 64, MicroBatch = 4, MicroBatchBySide = new Dictionary<int, int> { [8] = 32 } };
        Assert.Equal([4, 16, 64, 32], new[] { 1, 2, 4, 8 }.Select(training.MicroBatchFor));
    }
}
