using System.Text.Json;
using NextPatch.Cli.Quickstart;
using NextPatch.Core.Configuration;

namespace NextPatch.Cli.Tests.Quickstart;

/// <summary>The whole way from captions to figures, with models too small to learn anything.</summary>
[NoTensorLeaks]
public sealed class TextQuickstartTests : IDisposable
{
    private const int Judged = 5;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Figures_of_seen_and_unseen_combinations_stand_in_report_json_beside_their_ceiling()
    {
        var notes = new List<string>();
        var result = Run(notes, CancellationToken.None);

        var report = JsonDocument.Parse(File.ReadAllText(_folder["q/report.json"])).RootElement;
        Assert.Equal((288, 72), (report.GetProperty("combinations").GetInt32(), report.GetProperty("unseenCombinations").GetInt32()));
        var runs = report.GetProperty("runs").EnumerateArray().ToList();
        Assert.Equal(["Next Patch Prediction", "next-token"], runs.Select(r => r.GetProperty("name").GetString()));
        var shares = report.GetProperty("ceiling").EnumerateArray()
            .Concat(runs.SelectMany(r => (JsonElement[])[r.GetProperty("seen"), r.GetProperty("unseen")])).ToList();
        Assert.Equal(6, shares.Count);
        foreach (var share in shares.SelectMany(s => s.EnumerateObject()))
        {
            Assert.Contains(share.Name, (string[])["shape", "colour", "size", "place", "all"]);
            Assert.Contains(share.Value.GetDouble(), Enumerable.Range(0, Judged + 1).Select(k => Math.Round((double)k / Judged, 4)));
        }

        Assert.All(runs, r => Assert.InRange(r.GetProperty("heldOutLoss").GetDouble(), 0.1, 10));
        Assert.True(runs[0].GetProperty("plannedFlops").GetDouble() < runs[1].GetProperty("plannedFlops").GetDouble());
        Assert.Equal(2, notes.Count(n => n.Contains("all four traits", StringComparison.Ordinal)));
        Assert.Contains("combinations that never were", File.ReadAllText(_folder["q/report.html"]), StringComparison.Ordinal);
        Assert.All(["q/compare.html", "q/model/report.html", "q/next-token/report.html"], file => Assert.True(File.Exists(_folder[file])));
        Assert.Contains("captions of up to 16 tokens of 128 numbers", File.ReadAllText(_folder["q/model/report.html"]), StringComparison.Ordinal);
        Assert.All(result.Runs.SelectMany(r => r.Pictures), pixels => Assert.Equal(Judged * 32 * 32 * 3, pixels.Length));
        Assert.Equal(72, File.ReadLines(_folder["q/captions.jsonl"]).Count());
    }

    [Fact]
    public void One_that_was_stopped_continues_to_the_same_figures()
    {
        using var stop = new CancellationTokenSource();
        var notes = new StopAt(stop, "Next Patch Prediction: all four");
        Assert.ThrowsAny<OperationCanceledException>(() => Run(notes, stop.Token));
        Assert.False(File.Exists(_folder["q/report.json"]));

        var continued = Run([], CancellationToken.None);
        var whole = Run([], CancellationToken.None); // report.json is there: all is done anew

        Assert.Equal(whole.Runs.Select(Figures), continued.Runs.Select(Figures));
        Assert.Equal(whole.Ceiling, continued.Ceiling);
    }

    private static (TraitAgreement, TraitAgreement, double) Figures(TextQuickstartRun run) => (run.Seen, run.Unseen, run.HeldOutLoss);

    private TextQuickstartResult Run(ICollection<string> notes, CancellationToken cancellation)
    {
        var options = new QuickstartOptions(_folder["q"], null, null, 2, Seed: 1, Text: true);
        var settings = TextQuickstartSettings.Create(options);
        settings = settings with
        {
            TrainImages = 64,
            HeldOutImages = 8,
            SampleCount = Judged,
            TokenizerTraining = settings.TokenizerTraining with { Steps = 6, ContinuousSteps = 2, RevivalInterval = 2 },
            Model = GptPresets.Get("tiny") with
            {
                LayerCount = 1,
                VocabularySize = settings.Model.VocabularySize,
                GridSide = settings.Model.GridSide,
            },
            Training = settings.Training with { Steps = 4, BatchSize = 4 },
        };
        return new TextQuickstart(options, new Progress<QuickstartProgress>(), notes.Add, cancellation, settings).Run();
    }

    private sealed class StopAt(CancellationTokenSource stop, string note) : List<string>, ICollection<string>
    {
        void ICollection<string>.Add(string item)
        {
            if (item.StartsWith(note, StringComparison.Ordinal))
            {
                stop.Cancel();
            }
        }
    }
}
