using NextPatch.Core.Checkpoints;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Tests.Checkpoints;

public sealed class CheckpointFolderTests
{
    private static readonly string[] Files = ["config.json", "model.safetensors", "optimizer.safetensors", "state.json"];

    [Theory]
    [InlineData("../victim")]
    [InlineData("../../victim/")]
    [InlineData("victim")]
    [InlineData("step-1")]
    [InlineData("step-00000002/..")]
    [InlineData("step-0000000x")]
    [InlineData("\u001b[31m")]
    public void What_latest_says_is_a_checkpoint_or_nothing(string pointer)
    {
        using var folder = new TemporaryFolder();
        var run = Run(folder, 1, 2);
        Directory.CreateDirectory(folder["victim"]);
        Directory.CreateDirectory(folder["run/victim"]);
        Directory.CreateDirectory(folder["run/step-1"]);
        File.WriteAllText(folder["run/latest"], pointer);
        Assert.DoesNotContain('\u001b', Assert.Throws<DataFormatException>(() => run.Latest).Message);
        var (name, damaged) = run.FindIntact();
        Assert.Equal("step-00000002", name);
        Assert.Empty(run.FallBack(name!, damaged.Select(d => d.Name)));
        Assert.True(Directory.Exists(folder["victim"]) && Directory.Exists(folder["run/victim"]) && Directory.Exists(folder["run/step-1"]));
        Assert.EndsWith("step-00000002", run.Latest, StringComparison.Ordinal);
    }

    [Fact]
    public void A_slash_behind_the_name_is_read_over()
    {
        using var folder = new TemporaryFolder();
        var run = Run(folder, 1, 2);
        File.WriteAllText(folder["run/latest"], "step-00000001/\n");
        Assert.EndsWith("step-00000001", run.Latest, StringComparison.Ordinal);
        Assert.Equal("step-00000001", run.FindIntact().Name);
    }

    [Fact]
    public void Only_what_the_program_wrote_is_removed()
    {
        using var folder = new TemporaryFolder();
        var run = Run(folder, 1, 2);
        string[] mine = ["step-old/a", "step-00000002/notes.txt", ".writing-mine/a", ".removing-mine/a", ".replaced-mine/a",
            ".writing-step-00000009/mine.txt", "damaged-step-00000001/a"];
        foreach (var file in mine.Select(m => folder[$"run/{m}"]))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            File.WriteAllText(file, "mine");
        }

        Directory.CreateDirectory(folder["run/.writing-step-00000007"]);
        File.WriteAllText(folder["run/.writing-step-00000007/model.safetensors.partial"], "half");
        Assert.Equal([".writing-step-00000007"], run.CleanUp());
        Save(run, 3, keep: 1);
        Assert.Equal(["step-00000002", "step-00000003"], run.All()); // the notes kept theirs
        Assert.Equal(["damaged-step-00000003"], run.FallBack("step-00000002", ["step-00000003"]));
        Save(run, 3, keep: 9);
        Assert.Equal(["damaged-step-00000003-2"], run.FallBack("step-00000002", ["step-00000003"]));
        Assert.All(mine, m => Assert.Equal("mine", File.ReadAllText(folder[$"run/{m}"])));
        Assert.True(Directory.Exists(folder["run/damaged-step-00000003"]));
    }

    [Fact]
    public void A_link_to_a_checkpoint_elsewhere_is_removed_and_not_what_it_leads_to()
    {
        using var folder = new TemporaryFolder();
        _ = Run(folder, 1, 2);
        Directory.CreateDirectory(folder["other"]);
        Directory.CreateSymbolicLink(folder["other/step-00000001"], folder["run/step-00000001"]);
        var other = new CheckpointFolder(folder["other"]);
        Save(other, 2, keep: 1);
        Assert.Equal(["step-00000002"], other.All());
        Assert.Equal(5, Directory.GetFiles(folder["run/step-00000001"]).Length);
    }

    [Fact]
    public void Checkpoints_are_ordered_by_their_steps()
    {
        using var folder = new TemporaryFolder();
        Assert.Equal(["step-00000009", "step-99999999", "step-100000000"], Run(folder, 100_000_000, 9, 99_999_999).All());
    }

    [Fact]
    public void Sums_are_read_as_sha256sum_writes_them_and_their_names_stay_in_the_folder()
    {
        using var folder = new TemporaryFolder();
        Run(folder, 1);
        var (step, sums) = (folder["run/step-00000001"], folder["run/step-00000001/SHA256SUMS"]);
        var lines = File.ReadAllLines(sums);
        File.WriteAllText(sums, "\ufeff" + string.Join("\r\n", lines.Select(l => l.Replace("  ", " *", StringComparison.Ordinal))) + "\r\n\r\n");
        Assert.Null(CheckpointSums.ProblemOf(step));
        File.WriteAllText(sums, lines[0].Replace("config.json", "../../victim", StringComparison.Ordinal) + "\n");
        Assert.Contains("no file or folder beside it", CheckpointSums.ProblemOf(step), StringComparison.Ordinal);
        File.WriteAllText(sums, lines[0][..40]);
        // and not: no sum, so nothing to compare
        Assert.Throws<DataFormatException>(() => CheckpointSums.RequireIntact(Path.Combine(step, "config.json")));
    }

    [Fact]
    public void An_average_that_the_sums_list_is_missed()
    {
        using var folder = new TemporaryFolder();
        var run = new CheckpointFolder(folder["run"]);
        Save(run, 1, keep: 1, "ema.safetensors");
        var step = folder["run/step-00000001"];
        File.Delete(Path.Combine(step, "ema.safetensors"));
        Assert.Equal(["ema.safetensors"], CheckpointSums.MissingIn(step));
        Assert.Contains("lacks ema.safetensors", Assert.Throws<DataFormatException>(() => WeightsFile.Open(step)).Message, StringComparison.Ordinal);
        using var model = WeightsFile.Open(step, WeightsKind.Model);
        Assert.Equal(WeightsKind.Model, model.Kind);
    }

    private static CheckpointFolder Run(TemporaryFolder folder, params long[] steps)
    {
        var run = new CheckpointFolder(folder["run"]);
        foreach (var step in steps)
        {
            Save(run, step, keep: 100);
        }

        return run;
    }

    private static void Save(CheckpointFolder run, long step, int keep, params string[] more) => run.Save(step, folder =>
    {
        foreach (var name in Files.Concat(more))
        {
            if (name.EndsWith(".json", StringComparison.Ordinal))
            {
                File.WriteAllText(Path.Combine(folder, name), "{}");
            }
            else
            {
                SafetensorsFile.Write(Path.Combine(folder, name), new Dictionary<string, HostTensor> { ["w"] = HostTensor.FromSingles([1], [step]) });
            }
        }
    }, keep);
}
