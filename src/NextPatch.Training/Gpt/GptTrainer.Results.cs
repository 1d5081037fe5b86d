using System.Text.Json;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Core.Files;
using NextPatch.Training.Runs;

namespace NextPatch.Training.Gpt;

// What a run finds out about itself: figures on the way, its result at the end, and the state that its checkpoints hold.
internal sealed partial class GptTrainer
{
    /// <summary>The last images are measured too, and a finished run tells what it gave.</summary>
    private protected override void Conclude(MetricsLog log, bool isComplete, CancellationToken cancellation)
    {
        if (!isComplete)
        {
            return;
        }

        _losses = (
            Finite(_evaluation.Loss(cancellation: cancellation), "weights"),
            Finite(_evaluation.AverageLoss(images: 0, cancellation), "average of the weights"));
        if (_figures?.Step != Step && !cancellation.IsCancellationRequested)
        {
            Measure(log, cancellation);
        }

        if (cancellation.IsCancellationRequested)
        {
            return;
        }

        if (_ranks.Rank > 0)
        {
            return;
        }

        var outcome = Outcome(isComplete: true);
        GptMetrics.WriteResult(log, outcome);
        try
        {
            CheckpointUpdate.Replace(
                Checkpoints.Latest!, "state.json", JsonSerializer.Serialize(State(outcome), ConfigJson.Default.RunState));
        }
        catch (Exception e) when (DiskTrouble.Is(e))
        {
            _options.OnNote?.Invoke($"The result could not be written into the last checkpoint: {e.Message}");
        }
    }

    /// <summary>JSON has no word for a loss that is not finite; the run is done all the same, and says so.</summary>
    private double? Finite(double? loss, string of)
    {
        if (loss is null || double.IsFinite(loss.Value))
        {
            return loss;
        }

        _options.OnNote?.Invoke(
            $"The held-out loss of the {of} is {loss}, so the run gave no model to use: lower the learning rate ({_training.LearningRate}).");
        return null;
    }

    private void Measure(MetricsLog log, CancellationToken cancellation)
    {
        if (_isMeasured && _evaluation.Measure(_options.Metric, cancellation) is { } figures)
        {
            _figures = (Step, figures);
            GptMetrics.WriteMeasured(log, Step, LastStage, _trainer.Optimizer.HasAverage, figures);
        }
    }

    private RunState State(RunResult? result) => new()
    {
        Step = Step, Images = ImagesSeen, StageSeconds = _times.Seconds, CpuSeconds = CpuSeconds + _othersCpuSeconds,
        SkippedSteps = Skipped.Total, SkippedInARow = Skipped.InARow, Result = result,
        StepsBeforeMoments = _trainer.Optimizer.StepsBeforeMoments, Plateau = _plateau?.State,
    };

    private RunResult Outcome(bool isComplete)
    {
        var (images, last) = (_stages.StageImages(Step), Cost.Stages.Count - 1);
        return new RunResult
        {
            Step = Step,
            Images = ImagesSeen,
            IsComplete = isComplete,
            HeldOutLoss = _losses.Own,
            EmaHeldOutLoss = _losses.Average,
            UniformLoss = Math.Log(_config.Model.VocabularySize),
            PlannedFlops = Cost.TotalFlops,
            PlannedRelativeCost = Cost.RelativeCost,
            Seconds = _times.Seconds.Sum(),
            MeasuredRelativeCost = images[last] > 0 && _times.Seconds[last] > 0
                ? _times.Seconds.Sum() / (images.Sum() * (_times.Seconds[last] / images[last]))
                : null,
            SkippedSteps = Skipped.Total,
            Figures = _figures?.Values.Where(f => double.IsFinite(f.Value)).ToDictionary(),
            FiguresStep = _figures?.Step,
            Stages = [.. Cost.Stages.Select((s, i) => new RunStageResult(s.Stage.PatchSide, images[i], _times.Seconds[i], s.FlopsPerImage))],
        };
    }

    private void MarkWhenDue(MetricsLog log, CancellationToken cancellation)
    {
        if (!_options.Marks.Contains(Step) || cancellation.IsCancellationRequested)
        {
            return;
        }

        var (own, average) = (_evaluation.Loss(_options.ValidationImages, cancellation: cancellation),
            _evaluation.AverageLoss(_options.ValidationImages, cancellation));
        Measure(log, cancellation);
        if (!cancellation.IsCancellationRequested)
        {
            _options.OnMark?.Invoke(new RunMark(
                Step, ImagesSeen, _stages.FlopsBefore(Step), CpuSeconds, _times.Seconds.Sum(), own, average,
                _figures is { } measured && measured.Step == Step ? measured.Values : new Dictionary<string, double>()));
        }
    }
}
