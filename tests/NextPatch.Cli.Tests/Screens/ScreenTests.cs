using System.Text.RegularExpressions;
using NextPatch.Cli.Rendering;
using NextPatch.Cli.Training;
using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;
using NextPatch.Data.Codes;
using NextPatch.Training.Gpt;

namespace NextPatch.Cli.Tests.Screens;

/// <summary>
/// What people see, on terminals of 80 and 120 columns and without one, compared with the text files beside this one. Wanted changes:
/// <c>NEXTPATCH_RENEW_SCREENS=1</c> writes the files anew, and git shows what became of them (CONTRIBUTING.md).
/// </summary>
[NoTensorLeaks]
public sealed class ScreenTests : IDisposable
{
    private const int Vocabulary = 32;

    // What commands below make, and would speak of when they find it.
    private static readonly string[] Made = ["run", "out", "sweep", "small"];

    private readonly TemporaryFolder _folder = new();
    private readonly string _before = Directory.GetCurrentDirectory();

    // Names of one length everywhere: where a path breaks a line must not depend on the machine.
    public ScreenTests() => Directory.SetCurrentDirectory(_folder.Path);

    public void Dispose()
    {
        Directory.SetCurrentDirectory(_before);
        _folder.Dispose();
    }

    [Theory]
    [InlineData("doctor")]
    [InlineData("bench train --preset tiny --images 1,1 --patch-sides 1,2 --grid 4 --vocabulary 64 --rounds 1")]
    public async Task What_depends_on_the_machine_fits_into_80_columns(string arguments)
    {
        using var screen = new FakeScreen(80);
        Assert.Equal(0, await Application.RunAsync(arguments.Split(' '), screen, screen, CancellationToken.None));
        Assert.DoesNotContain("…", screen.ToString(), StringComparison.Ordinal);
        Assert.False(screen.IsWrapped);
    }

    [Theory]
    [InlineData("help", "--help")]
    [InlineData("help-train", "train --help")]
    [InlineData("help-sample-all", "sample --help-all")]
    [InlineData("help-tokenizer", "tokenizer --help")]
    [InlineData("mistake", "train --codes codes --output run --bach-size 4")]
    [InlineData("plan", "plan --preset small --recipe cpu --grid 8 --vocabulary 512 --classes 12 --steps 24000000 --flops-per-second 1e12")]
    public Task Text(string name, string arguments) => Compare(name, arguments);

    [Fact]
    public async Task Info_of_a_run_and_of_codes_of_a_thousand_classes()
    {
        SmallModel.Write(_folder);
        await Compare("info-run", "info model");
        CodeStore.Write("codes", new CodeManifest
        {
            Name = "imagenet", GridSide = 2, VocabularySize = Vocabulary, Count = 1000, HeldOutCount = 100, ImageSide = 8,
            ClassNames = [.. Enumerable.Range(0, 1000).Select(i => $"class number {i}")],
        }, [.. Enumerable.Range(0, 4000).Select(i => i % Vocabulary)], [.. Enumerable.Range(0, 1000)]);
        await Compare("info-codes", "info codes");
        await Compare("dataset-codes", "dataset inspect codes");
        var json = await CommandLine.RunAsync("info", "codes", "--json");
        Assert.Equal(1000, json.Json.GetProperty("classNames").GetArrayLength());
        Assert.Equal(1000, json.Json.GetProperty("configuration").GetProperty("classNames").GetArrayLength());
    }

    [Fact]
    public async Task Images_measured_and_swept()
    {
        SmallModel.Write(_folder);
        SmallResNet.Write("net.safetensors");
        Assert.Equal(0, (await CommandLine.RunAsync("sample", "--model", "model", "--count", "70", "--seed", "3", "--output", "real")).ExitCode);
        await Compare("evaluate", "evaluate --samples model --count 66 --reference real --weights net.safetensors", isMeasured: true);
        await Compare(
            "sweep", "sweep --model model --count 12 --cfg-scale 1,2 --temperature 0,1 --reference real --weights net.safetensors --output sweep",
            isMeasured: true);
        await Compare("tokenizer-eval", "tokenizer eval --images real --tokenizer tokenizer", isMeasured: true);
        await Compare("sample", "sample --model model --count 4 --output out", isMeasured: true);
        await Compare("quantize", "quantize model small --count 2", isMeasured: true);
        await What_depends_on_the_machine_fits_into_80_columns("encode --images real --tokenizer tokenizer --output codes");
        await Compare("tokenizer-reconstruct", "tokenizer reconstruct --images real --tokenizer tokenizer --output out", isMeasured: true);
        await Compare("convert", "convert model weights.safetensors");
    }

    [Fact]
    public async Task A_run_and_runs_beside_each_other()
    {
        CodeStore.Write("codes", new CodeManifest
        {
            Name = "tiny", GridSide = 2, VocabularySize = Vocabulary, ClassNames = ["round", "square"], Count = 40, HeldOutCount = 8, ImageSide = 8,
        }, [.. Enumerable.Range(0, 160).Select(i => i * 7 % Vocabulary)], [.. Enumerable.Range(0, 40).Select(i => i % 2)]);
        const string Train = "train --codes codes --preset tiny --steps 6 --batch-size 4 --precision fp32";
        await Compare("train", Train + " --output run", isMeasured: true);
        foreach (var (name, level) in new[] { ("npp-2", "2"), ("next-token", "1") })
        {
            Assert.Equal(0, (await CommandLine.RunAsync([.. Train.Split(' '), "--output", name, "--patch-level", level])).ExitCode);
        }

        await Compare("report", "report npp-2", isMeasured: true);
        await Compare("compare", "compare npp-2 next-token", isMeasured: true);
    }

    [Fact]
    public async Task Progress_of_a_training_run_keeps_its_time_left()
    {
        var line = TrainingDisplay.Line(
            new TrainingProgress(1234, 240_000, new PatchStage(0, 2, 0, 1200), 7.0123, 3e-4, 1, 1, 123.4, 31_600, 8000, 7.5)
            {
                DataWaitShare = 0.25, SkippedSteps = 3,
            });
        CompareFile("progress", await Modes(screens =>
        {
            using var progress = new Terminal(screens.Output, screens.Error).CreateProgress();
            progress.Report("Training", 1234, 240_000, line);
            progress.Report("Encoding", 5, 50_000, null);
            return Task.CompletedTask;
        }));
    }

    [Theory]
    [InlineData(4.0, true)]
    [InlineData(3.0, false)]
    public void A_loss_above_that_of_guessing_is_warned_about(double loss, bool isWarned)
    {
        var cost = new TrainingCost(GptPresets.Get("tiny"), PatchSchedule.Create(1, 10, [1], 0.5), 8);
        var result = new TrainingResult(10, true, null, [1], [80], loss, null)
        {
            Outcome = new RunResult
            {
                Step = 10, Images = 80, IsComplete = true, UniformLoss = 3.5, PlannedFlops = 1, PlannedRelativeCost = 1, Seconds = 1, Stages = [],
            },
        };
        var last = TrainingDisplay.Measured(cost, result).Last();
        Assert.Equal(isWarned, last.StartsWith("Warning: guessing would cost less", StringComparison.Ordinal));
    }

    private async Task Compare(string name, string arguments, bool isMeasured = false)
    {
        var text = await Modes(async screens =>
        {
            foreach (var folder in Made.Where(Directory.Exists))
            {
                Directory.Delete(folder, recursive: true);
            }

            await Application.RunAsync(arguments.Split(' '), screens.Output, screens.Error, CancellationToken.None);
        });
        text = Regex.Replace(text, @"\d+(\.\d+)? MiB", m => Regex.Replace(m.Value, @"\d", "0")); // activations have two sizes where bf16 is fast
        text = Regex.Replace(text, @"state\.json \(\d{3} B\)", "state.json (### B)"); // it holds seconds, with all their digits
        CompareFile(name, $"$ nextpatch {arguments}\n{(isMeasured ? Masked(text) : text)}");
    }

    private static async Task<string> Modes(Func<(TextWriter Output, TextWriter Error), Task> show)
    {
        var text = "";
        foreach (var width in (int[])[80, 120])
        {
            using var screen = new FakeScreen(width);
            await show((screen, screen));
            text += $"\n== {width} columns {new string('=', width - 15)}\n{screen}\n";
        }

        using StringWriter output = new(), error = new();
        await show((output, error));
        return text + $"\n== no terminal, stdout ==\n{output.ToString().TrimEnd()}\n\n== no terminal, stderr ==\n{error.ToString().TrimEnd()}\n";
    }

    /// <summary>
    /// Digits that depend on the machine are all 0; times and speeds, whose length does too, are gone, and so is progress on the way.
    /// </summary>
    private static string Masked(string text)
    {
        text = string.Join('\n', text.Split('\n').Where(l => !(Regex.Match(l, @"^[\w ,]+ [━─ ]*(\d+)/(\d+)") is { Success: true } m
            && m.Groups[1].Value != m.Groups[2].Value)));
        text = Regex.Replace(text, @"^(Training) [━─ ]*(6/6).*", "$1 $2 ...", RegexOptions.Multiline);
        text = Regex.Replace(text, @"training, \d+\.", "training, 0."); // ten times as much on a busy machine
        text = Regex.Replace(text, @"\b[0-9a-f]{12}\b", "<- sha-256->");
        text = Regex.Replace(text, @"\(\d+ codes\)", "(N codes)");
        text = Regex.Replace(text, @"\d+(\.\d+)?( min \d+)? s\b|\d+(\.\d+)? [kMG]?( |)(FLOP/s|FLOP|tok/s|img/s|images/s)|\d+(\.\d+)? ms", "TIME");
        return Regex.Replace(text, @"\d+\.\d+(e-?\d+)?", m => Regex.Replace(m.Value, @"\d", "0"));
    }

    private void CompareFile(string name, string text)
    {
        text = text.ReplaceLineEndings("\n").Replace(_folder.Path, "DIR", StringComparison.Ordinal);
        var shown = text;
        Assert.All(shown.Split("\n== ")[1].Split('\n').Skip(1), l => Assert.InRange(l.Length, 0, 80));
        Assert.DoesNotContain("…", shown, StringComparison.Ordinal);
        if (Environment.GetEnvironmentVariable("NEXTPATCH_RENEW_SCREENS") is { Length: > 0 })
        {
            File.WriteAllText(Path.Combine(Sources(), name + ".txt"), text);
            return;
        }

        var file = Path.Combine(AppContext.BaseDirectory, "Screens", name + ".txt");
        Assert.True(File.Exists(file), $"{file} is missing; NEXTPATCH_RENEW_SCREENS=1 writes it beside the tests' sources.");
        Assert.Equal(File.ReadAllText(file).ReplaceLineEndings("\n"), text);
    }

    /// <summary>Beside this file, wherever the checkout is.</summary>
    private static string Sources()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "NextPatch.slnx")))
        {
            folder = folder.Parent ?? throw new InvalidOperationException("Screens are renewed in a checkout.");
        }

        return Path.Combine(folder.FullName, "tests", "NextPatch.Cli.Tests", "Screens");
    }
}
