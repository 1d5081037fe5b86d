using NextPatch.Core;
using NextPatch.Data.Codes;
using NextPatch.Training.Gpt;

namespace NextPatch.Training.Tests.Gpt;

[NoTensorLeaks]
public sealed class RunLockTests
{
    [Fact]
    public void A_second_run_is_refused_by_the_name_of_the_first_and_touches_nothing()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        using (var store = CodeStore.Open(codes))
        using (new GptTrainer(TinyRun.Config(), store, new GptRunOptions { Output = folder["run"] }))
        {
            var beingWritten = Directory.CreateDirectory(Path.Combine(folder["run"], ".writing-step-00000004")).FullName;
            var error = Assert.Throws<NextPatchException>(() => TinyRun.Train(codes, new GptRunOptions { Output = folder["run"], Resume = true }));
            Assert.Contains(
                $"in use by another run (process {Environment.ProcessId} on {Environment.MachineName} since ", error.Message,
                StringComparison.Ordinal);
            Assert.True(Directory.Exists(beingWritten));
        }

        Assert.True(TinyRun.Train(codes, new GptRunOptions { Output = folder["run"], Resume = true }).IsComplete);
    }

    [Fact]
    public void A_run_that_could_not_start_lets_go()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        TinyRun.Train(codes, new GptRunOptions { Output = folder["run"] });
        for (var i = 0; i < 2; i++)
        {
            Assert.Contains(
                "Resume", Assert.Throws<ConfigException>(() => TinyRun.Train(codes, new GptRunOptions { Output = folder["run"] })).Message,
                StringComparison.Ordinal);
        }
    }
}
