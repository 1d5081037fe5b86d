using NextPatch.Cli.Quickstart;
using NextPatch.Cli.Rendering;
using NextPatch.Core;
using NextPatch.Core.Imaging;
using NextPatch.Data.Sources;

namespace NextPatch.Cli.Tests.Quickstart;

/// <summary>What is continued, what is replaced, what is left alone.</summary>
public sealed class QuickstartFolderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_stopped_quickstart_of_the_same_options_is_continued_with_its_own_settings()
    {
        var options = Options();
        var folder = QuickstartFolder.Prepare(options);
        Assert.Null(folder.Earlier);
        var settings = QuickstartSettings.Create(options);
        settings = settings with
        {
            TokenizerTraining = settings.TokenizerTraining with { Steps = 77 },
            Model = settings.Model with { ClassCount = 3 },
        };
        folder.Save(new QuickstartState(options, settings, 10, 4, HasTraining: false));
        Directory.CreateDirectory(folder.Tokenizer);
        Directory.CreateDirectory(folder.Scratch);

        var again = QuickstartFolder.Prepare(options);
        Assert.False(Directory.Exists(folder.Scratch));
        Assert.True(Directory.Exists(folder.Tokenizer));
        Assert.Equal((10, 4, false), (again.Earlier!.TrainImages, again.Earlier.HeldOutImages, again.Earlier.HasTraining));
        Assert.Equal(Terminal.ToJson(settings), Terminal.ToJson(again.Earlier.Settings));
    }

    [Fact]
    public void One_that_is_done_or_of_other_options_or_unreadable_is_replaced()
    {
        Replaced(Options() with { Seed = 2 }, _ => { });
        Replaced(Options(), folder => File.WriteAllText(folder.ReportJson, "{}"));
        Replaced(Options(), folder => File.WriteAllText(Path.Combine(folder.Root, ".quickstart"), "{ \"options\": 3"));
    }

    [Fact]
    public void A_folder_with_other_files_is_refused()
    {
        File.WriteAllText(_folder["thesis.txt"], "mine");
        Assert.Throws<NextPatchException>(() => QuickstartFolder.Prepare(Options()));
        Assert.Equal("mine", File.ReadAllText(_folder["thesis.txt"]));
    }

    [Fact]
    public void A_part_of_a_dataset_keeps_the_shares_of_its_classes()
    {
        var all = ShapesDataset.Create(1, side: 32).Train;
        var part = TimeBudget.Part(all, 500);
        Assert.Equal(500, part.Count);
        Assert.Equal(500 * 32 * 32 * 3, part.Pixels.Length);
        Assert.All(part.Labels.GroupBy(l => l), g => Assert.InRange(g.Count(), 25, 80));
        var from = Enumerable.Range(0, all.Count).First(i => all.Image(i).SequenceEqual(part.Image(123)));
        Assert.Equal(all.Labels[from], part.Labels[123]);
        Assert.Same(all, TimeBudget.Part(all, all.Count));
    }

    /// <summary>Said before anything is trained.</summary>
    [Fact]
    public void Files_that_a_quickstart_leaves_out_are_said_by_reason()
    {
        var data = Path.Combine(_folder.Path, "data");
        foreach (var name in new[] { "a", "b" })
        {
            Directory.CreateDirectory(Path.Combine(data, name));
            File.WriteAllBytes(Path.Combine(data, name, "1.png"), PngWriter.Encode(new RgbImage(32, 32)));
            File.WriteAllBytes(Path.Combine(data, name, "2.png"), PngWriter.Encode(new RgbImage(32, 32)));
        }

        File.WriteAllText(Path.Combine(data, "a", "3.tif"), "II*");
        var notes = new List<string>();
        using var stop = new CancellationTokenSource();
        void Note(string note)
        {
            notes.Add(note);
            stop.Cancel();
        }

        var options = Options() with { Output = Path.Combine(_folder.Path, "out"), Data = data, Minutes = null };
        Assert.ThrowsAny<OperationCanceledException>(() => new QuickstartPipeline(
            options, new ProgressLine<QuickstartProgress>(_ => { }), Note, stop.Token).Run());
        Assert.Contains(notes, n => n.Contains(".tif", StringComparison.Ordinal));
    }

    [Fact]
    public void Comparing_takes_its_share_of_the_time()
    {
        var seconds = new Dictionary<string, double> { ["codes"] = 10 };
        var (alone, compared) = (TimeBudget.ForTraining(300, seconds, isCompared: false), TimeBudget.ForTraining(300, seconds, isCompared: true));
        Assert.InRange(compared * (1 + 1.6), 0.9 * (alone - 12), alone);
    }

    private void Replaced(QuickstartOptions options, Action<QuickstartFolder> change)
    {
        var first = Options();
        var folder = QuickstartFolder.Prepare(first);
        folder.Save(new QuickstartState(first, QuickstartSettings.Create(first), 10, 4, HasTraining: true));
        Directory.CreateDirectory(folder.Model);
        change(folder);
        Assert.Null(QuickstartFolder.Prepare(options).Earlier);
        Assert.False(Directory.Exists(folder.Model));
    }

    private QuickstartOptions Options() => new(_folder.Path, Data: null, Minutes: 3, PatchLevel: 2, Seed: 1);
}
