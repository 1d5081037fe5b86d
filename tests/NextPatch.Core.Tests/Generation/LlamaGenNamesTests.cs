using NextPatch.Core.Generation;
using NextPatch.Core.Sampling;

namespace NextPatch.Core.Tests.Generation;

public sealed class LlamaGenNamesTests
{
    [Fact]
    public void A_folder_is_named_after_model_sizes_and_settings()
        => Assert.Equal(
            "GPT-L-0300000-size-384-size-256-VQ-16-topk-2000-topp-0.95-temperature-0.9-cfg-1.75-seed-7",
            LlamaGenNames.ForFolder(
                "GPT-L", LlamaGenNames.ForCheckpoint("/x/y/0300000.pt"), 384, 256, "VQ-16", new SamplingConfig
                {
                    TopK = 2000, TopP = 0.95, Temperature = 0.9, GuidanceScale = 1.75,
                }, 7));

    [Theory]
    [InlineData("/ckpts/0500000/consolidated.pth", "0500000")]
    [InlineData("a.pth.pt", "a")]
    [InlineData("runs/mine", "mine")]
    public void A_checkpoint_is_its_file_without_the_ending(string path, string name) => Assert.Equal(name, LlamaGenNames.ForCheckpoint(path));

    [Theory]
    [InlineData(1, "1.0")]
    [InlineData(1.75, "1.75")]
    [InlineData(0.0001, "0.0001")]
    [InlineData(1e-5, "1e-05")]
    [InlineData(1.5e-7, "1.5e-07")]
    [InlineData(123456789012345, "123456789012345.0")]
    [InlineData(-2.5, "-2.5")]
    public void Numbers_read_as_Python_prints_them(double value, string text) => Assert.Equal(text, LlamaGenNames.Python(value));
}
