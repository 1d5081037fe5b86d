using System.Text.Json;
using NextPatch.Core.Generation;
using NextPatch.Core.Sampling;
using NextPatch.Training.Gpt;

namespace NextPatch.Training.Tests.Gpt;

[NoTensorLeaks]
public sealed class GenerationMetricTests
{
    private static readonly GenerationRequest Request = new()
    {
        Labels = [0, 1, 2, 0], Seed = 3, Sampling = new SamplingConfig { GuidanceScale = 1 },
    };

    [Theory]
    [InlineData(0.9)]
    [InlineData(0)] // no average
    public void Measuring_changes_nothing_and_writes_a_line(double decay)
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        var config = TinyRun.Config(TinyRun.Training with { EmaDecay = decay });
        var metric = new Drawn();

        var plain = TinyRun.Train(codes, new GptRunOptions { Output = folder["plain"] }, config);
        var measured = TinyRun.Train(codes, new GptRunOptions { Output = folder["measured"], Metric = metric, MeasureEvery = 5 }, config);

        Assert.Equal(TinyRun.Weights(plain.Checkpoint!), TinyRun.Weights(measured.Checkpoint!));
        Assert.Equal(3, metric.Codes.Count);
        var lines = File.ReadAllLines(folder["measured/metrics.jsonl"]).Select(l => JsonDocument.Parse(l).RootElement)
            .Where(l => l.TryGetProperty("fd-fake", out _)).ToList();
        Assert.Equal([(5, 7.5), (10, 7.5), (12, 7.5)], lines.Select(l => (l.GetProperty("step").GetInt32(), l.GetProperty("fd-fake").GetDouble())));
        Assert.All(lines, l => Assert.Equal(decay > 0 ? "ema" : "model", l.GetProperty("weights").GetString()));
    }

    [Fact]
    public void It_is_the_averaged_weights_that_draw()
    {
        using var folder = new TemporaryFolder();
        var codes = TinyRun.WriteCodes(folder["codes"]);
        var metric = new Drawn();

        // An average that never moves stays what the model was before its first step, whatever is learnt.
        var config = TinyRun.Config(TinyRun.Training with { EmaDecay = 1 - 1e-12, EmaWarmup = false, LearningRate = 0.1 });
        TinyRun.Train(codes, new GptRunOptions { Output = folder["run"], Metric = metric, MeasureEvery = 4 }, config);

        Assert.Equal(3, metric.Codes.Count);
        Assert.All(metric.Codes, drawn => Assert.Equal(metric.Codes[0], drawn));
    }

    [Fact]
    public void Stopped_while_measuring_a_run_still_writes_its_checkpoint()
    {
        using var folder = new TemporaryFolder();
        using var stop = new CancellationTokenSource();
        var metric = new Drawn { OnMeasure = stop.Cancel };

        var result = TinyRun.Train(
            TinyRun.WriteCodes(folder["codes"]), new GptRunOptions
            {
                Output = folder["run"], Metric = metric, MeasureEvery = 5,
            }, cancellation: stop.Token);

        Assert.Equal((5, false), (result.Step, result.IsComplete));
        Assert.True(Directory.Exists(result.Checkpoint));
    }

    private sealed class Drawn : IGenerationMetric
    {
        public List<int[]> Codes { get; } = [];

        public Action? OnMeasure { get; init; }

        public IReadOnlyDictionary<string, double> Measure(IGenerationEngine engine, CancellationToken cancellation)
        {
            OnMeasure?.Invoke();
            Codes.Add(engine.Generate(Request, cancellation: cancellation));
            return new Dictionary<string, double> { ["fd-fake"] = 7.5, ["nothing"] = double.NaN };
        }
    }
}
