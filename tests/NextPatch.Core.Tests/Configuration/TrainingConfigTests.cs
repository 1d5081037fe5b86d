using System.Text.Json;
using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;

namespace NextPatch.Core.Tests.Configuration;

public sealed class TrainingConfigTests
{
    /// <summary>So that runs from before a setting existed go on.</summary>
    [Fact]
    public void Settings_absent_in_a_file_have_their_defaults()
        => Assert.Equal(new TrainingConfig { Steps = 5 }, JsonSerializer.Deserialize("""{ "steps": 5 }""", ConfigJson.Default.TrainingConfig));

    [Fact]
    public void Grouping_weights_stages_and_step_are_stored()
    {
        var config = new TrainingConfig
        {
            Grouping = "sum", TargetPower = 0.5, StepImplementation = StepImplementation.Reference, Stages = StageLength.ParseList("2:25%,1:75%"),
        };
        var json = JsonSerializer.Serialize(config, ConfigJson.Default.TrainingConfig);
        var read = JsonSerializer.Deserialize(json, ConfigJson.Default.TrainingConfig)!;
        Assert.Equal(config.Stages, read.Stages);
        Assert.Equal(config, read with { Stages = config.Stages });
    }
}
