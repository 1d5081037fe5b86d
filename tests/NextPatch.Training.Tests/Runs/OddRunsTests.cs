using NextPatch.Core;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Tensors;
using NextPatch.Data.Codes;
using NextPatch.Torch.Gpt;
using NextPatch.Training.Gpt;
using NextPatch.Training.Tests.Gpt;
using static TorchSharp.torch;

namespace NextPatch.Training.Tests.Runs;

/// <summary>Runs whose folder or weights are not what a run leaves.</summary>
[NoTensorLeaks]
public sealed class OddRunsTests
{
    [Fact]
    public void A_run_in_which_every_step_was_skipped_fails_and_keeps_its_checkpoint()
    {
        using var folder = new TemporaryFolder();
        using var store = CodeStore.Open(TinyRun.WriteCodes(folder["codes"]));
        using var trainer = new GptTrainer(
            TinyRun.Config(), store, new GptRunOptions { Output = folder["run"], StopAfterSkips = 100 }, model =>
            {
                GptInitializer.Initialize(model, 1);
                using var noGrad = no_grad();
                using var scope = NewDisposeScope();
                model.Head.fill_(float.MaxValue / 2); // finite, and no product of it is
            });
        var error = Assert.Throws<NextPatchException>(() => trainer.Run(TestContext.Current.CancellationToken));
        Assert.Contains("None of the run's 12 steps was taken", error.Message, StringComparison.Ordinal);
        Assert.Equal(["step-00000012"], trainer.Checkpoints.All());
    }

    [Fact]
    public void A_checkpoint_with_numbers_that_are_not_finite_is_not_resumed()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        TinyRun.Train(codes, new GptRunOptions { Output = folder["run"], CheckpointEvery = 6, KeepLast = 1 });
        foreach (var file in new[] { "model", "ema", "optimizer" })
        {
            CopyFolder(folder["run/step-00000012"], folder[$"{file}/step-00000012"]);
            File.Delete(folder[$"{file}/step-00000012/SHA256SUMS"]);
            var path = folder[$"{file}/step-00000012/{file}.safetensors"];
            var state = SafetensorsFile.Read(path).ToList();
            var (name, tensor) = state[1];
            state[1] = new(name, HostTensor.FromSingles(tensor.Shape, [float.NaN, .. tensor.ToSingles()[1..]]));
            SafetensorsFile.Write(path, state);
            Assert.Contains(
                "not finite", Assert.Throws<DataFormatException>(
                    () => TinyRun.Train(codes, new GptRunOptions { Output = folder[file], Resume = true })).Message,
                StringComparison.Ordinal);
        }
    }

    /// <summary>
    /// What an editor adds to the start of metrics.jsonl does not cost the lines behind it; a file called as the program's test stays.
    /// </summary>
    [Fact]
    public void What_a_person_put_into_a_run_stays()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        TinyRun.Train(codes, new GptRunOptions { Output = folder["run"], LogEvery = 4 });
        var lines = File.ReadAllLines(folder["run/metrics.jsonl"]);
        File.WriteAllText(folder["run/metrics.jsonl"], "\ufeff" + File.ReadAllText(folder["run/metrics.jsonl"]));
        string[] mine = [".write-test", "notes.txt", "step-old/a.json", ".writing-notes/a.json", "damaged-step-00000012/a.json"];
        foreach (var file in mine.Select(m => folder[$"run/{m}"]))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(file)!);
            File.WriteAllText(file, "mine");
        }

        File.WriteAllText(folder["run/step-00000012/state.json"], "{");
        TinyRun.Train(codes, new GptRunOptions { Output = folder["again"], CheckpointEvery = 4 });
        CopyFolder(folder["again/step-00000008"], folder["run/step-00000008"]);
        Assert.Equal(12, TinyRun.Train(codes, new GptRunOptions { Output = folder["run"], Resume = true, LogEvery = 4, KeepLast = 1 }).Step);
        Assert.All(mine, m => Assert.Equal("mine", File.ReadAllText(folder[$"run/{m}"])));
        Assert.Equal(["latest", "metrics.jsonl", "notes.txt"], Directory.GetFiles(folder["run"]).Select(Path.GetFileName)
            .Where(f => f![0] != '.').Order(StringComparer.Ordinal));
        Assert.Equal(lines[0], File.ReadAllLines(folder["run/metrics.jsonl"])[0]);
        Assert.True(Directory.Exists(folder["run/damaged-step-00000012-2"]));
    }

    private static void CopyFolder(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (var file in Directory.GetFiles(from))
        {
            File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
        }
    }
}
