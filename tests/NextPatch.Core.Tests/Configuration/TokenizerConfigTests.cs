using System.Text.Json;
using NextPatch.Core.Configuration;

namespace NextPatch.Core.Tests.Configuration;

public sealed class TokenizerConfigTests
{
    [Fact]
    public void Defaults_are_valid_and_survive_json()
    {
        var config = new TokenizerConfig { CodebookSize = 256, Channels = [16, 48], CommitmentWeight = 0.5 };
        config.Validate();
        var text = JsonSerializer.Serialize(config, ConfigJson.Default.TokenizerConfig);
        var read = JsonSerializer.Deserialize(text, ConfigJson.Default.TokenizerConfig)!;
        Assert.Equal(text, JsonSerializer.Serialize(read, ConfigJson.Default.TokenizerConfig));
        Assert.Equal((256, 0.5, 8, 64), (read.CodebookSize, read.CommitmentWeight, read.GridSide, read.CodesPerImage));
        Assert.Equal([16, 48], read.Channels);
        Assert.DoesNotContain("gridSide", text, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public void Every_problem_is_named()
    {
        var broken = new TokenizerConfig { ImageSide = 30, CodebookSize = 0, Channels = [32], BlockCounts = [1, -1], CommitmentWeight = double.NaN };
        var problems = Assert.Throws<ConfigException>(broken.Validate).Problems;
        Assert.Equal(5, problems.Count);
        Assert.Contains("Tokenizer CodebookSize is 0 but must be at least 1.", problems);
        Assert.Contains(
            "Tokenizer Channels has 1 entries but a downsampling factor of 4 has 2 levels; give one entry per level, or another factor.", problems);
        Assert.Contains("Tokenizer ImageSide 30 is not divisible by DownsamplingFactor 4.", problems);
    }

    [Fact]
    public void Channels_that_libtorch_miscomputes_are_refused()
        => Assert.Equal(
            "Tokenizer Channels is [8, 64] but every entry must be a positive multiple of 16.",
            Assert.Throws<ConfigException>(new TokenizerConfig { Channels = [8, 64] }.Validate).Message);

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(12)]
    public void Downsampling_factor_must_be_a_power_of_two(int factor)
    {
        var config = new TokenizerConfig { ImageSide = 36, DownsamplingFactor = factor };
        Assert.Contains("power of two", Assert.Throws<ConfigException>(config.Validate).Message, StringComparison.Ordinal);
    }
}
