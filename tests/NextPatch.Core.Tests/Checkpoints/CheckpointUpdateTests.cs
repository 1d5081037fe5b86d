using NextPatch.Core.Checkpoints;

namespace NextPatch.Core.Tests.Checkpoints;

public sealed class CheckpointUpdateTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public CheckpointUpdateTests()
    {
        foreach (var name in (string[])["config.json", "model.safetensors", "optimizer.safetensors", "state.json"])
        {
            File.WriteAllText(_folder[name], "{\"a\": 1}");
        }

        CheckpointSums.Write(_folder.Path);
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_file_is_replaced_and_the_sums_with_it()
    {
        CheckpointUpdate.Replace(_folder.Path, "state.json", "{\"b\": 2}");

        Assert.Equal("{\"b\": 2}", File.ReadAllText(_folder["state.json"]));
        Assert.Null(CheckpointSums.ProblemOf(_folder.Path));
        Assert.Equal(5, Directory.GetFiles(_folder.Path).Length);
    }

    /// <summary>A kill before the sums leaves the old file, one after them the new one.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void What_a_kill_interrupts_is_finished_or_undone(bool haveSumsChanged)
    {
        File.WriteAllText(_folder["state.json.next"], "{\"b\": 2}");
        File.WriteAllText(_folder["SHA256SUMS.next"], "half");
        if (haveSumsChanged)
        {
            var old = File.ReadAllText(_folder["SHA256SUMS"]);
            File.WriteAllText(_folder["SHA256SUMS"], old.Replace(
                $"{FileHash.Compute(_folder["state.json"])}  state.json", $"{FileHash.Compute(_folder["state.json.next"])}  state.json"));
        }

        CheckpointUpdate.Finish(_folder.Path);

        Assert.Equal(haveSumsChanged ? "{\"b\": 2}" : "{\"a\": 1}", File.ReadAllText(_folder["state.json"]));
        Assert.Null(CheckpointSums.ProblemOf(_folder.Path));
        Assert.Equal(5, Directory.GetFiles(_folder.Path).Length);
    }
}
