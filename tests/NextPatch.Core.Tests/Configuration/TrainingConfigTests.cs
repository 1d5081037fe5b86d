using System.Text.Json;
using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;

namespace NextPatch.Core.Tests.Configuration;

public sealed class TrainingConfigTests
{
    /// <summary>So that runs from before these settings existed go on. The reader gives null for what a file does not name.</summary>
    [Fact]
    public void A_file_that_names_no_grouping_means_the_published_training()
    {
        var read = JsonSerializer.Deserialize("""{ "steps": 5 }""", ConfigJson.Default.TrainingConfig)!;
        Assert.Equal(("mean", 0.0, null, StepImplementation.Fused), (read.Grouping, read.TargetPower, read.Stages, read.StepImplementation));
    }

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
