using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Torch.Gpt;
using NextPatch.Training.Ranks;
using NextPatch.Training.Runs;

namespace NextPatch.Training.Gpt;

/// <summary>What surrounds a transformer's run without changing what it computes.</summary>
public sealed record GptRunOptions : RunOptions
{
    /// <summary>Enough to see where a run goes, few enough not to be felt.</summary>
    public const int DefaultValidationImages = 1000;

    /// <summary>
    /// Whether activations are computed again in the backward pass instead of kept (activation checkpointing): the same numbers, less memory,
    /// a third more products.
    /// </summary>
    public bool Recompute { get; init; }

    /// <summary>
    /// What computes: <c>cpu</c>, <c>cuda</c>, <c>cuda:1</c>, <c>mps</c>. Other devices than the processor take the reference step
    /// (<see cref="StepImplementation.Reference"/>), and a run that goes on on another one gives the same losses within rounding, not the same bytes.
    /// </summary>
    public string Device { get; init; } = "cpu";

    /// <summary>Whether fp32 products on a CUDA device may round their factors to TF32, 10 bits behind the point.</summary>
    public bool Tf32 { get; init; }

    /// <summary>Held-out images of a validation on the way, spread evenly over all; 0 = all, as after the last step.</summary>
    public int ValidationImages { get; init; } = DefaultValidationImages;

    /// <summary>Steps between calls of <see cref="OnSample"/>; 0 = never.</summary>
    public long SampleEvery { get; init; }

    /// <summary>Draws a sample grid; receives the step and the model in evaluation mode.</summary>
    public Action<long, GptModel>? OnSample { get; init; }

    /// <summary>Draws a sample grid and returns its PNG file for TensorBoard.</summary>
    internal Func<long, GptModel, byte[]>? DrawGrid { get; init; }

    /// <summary>
    /// A later end for a run that is resumed: its last stage goes on to so many optimiser steps. Null: the run's own length. What it does to the
    /// learning rate is told by <see cref="RunOptions.OnNote"/>.
    /// </summary>
    public long? ExtendTo { get; init; }

    /// <summary>How <see cref="Metric"/> was made, by names of the caller's own, for who makes it again when the run is resumed.</summary>
    public IReadOnlyDictionary<string, string>? MetricSettings { get; init; }

    /// <summary>Measures images that the EMA weights draw (the trained ones where there is no EMA); null = none.</summary>
    public IGenerationMetric? Metric { get; init; }

    /// <summary>Steps between measurements by <see cref="Metric"/>; 0 = never.</summary>
    public long MeasureEvery { get; init; }

    /// <summary>Steps after which the run is measured for <see cref="OnMark"/>, once each.</summary>
    internal IReadOnlySet<long> Marks { get; init; } = new HashSet<long>();

    /// <summary>Receives what was measured at each of <see cref="Marks"/>; at one that was interrupted, when the run goes on.</summary>
    internal Action<RunMark>? OnMark { get; init; }

    /// <summary>The processes that compute the run together; each makes the same request, and rank 0 writes.</summary>
    internal ICommunicator Ranks { get; init; } = SingleRank.Instance;

    /// <summary>
    /// Whether gradients travel between ranks rounded to bf16: half the bytes; sums are float32 either way. Null: as the run began, else not.
    /// </summary>
    internal bool? Bf16Gradients { get; init; }

    /// <summary>Receives every line of metrics.</summary>
    public Action<TrainingProgress>? OnProgress { get; init; }
}

/// <summary>Where a run stood at a step, and what its weights were worth then.</summary>
/// <param name="Step">Optimiser steps done.</param>
/// <param name="Images">Images seen.</param>
/// <param name="Flops">FLOPs of the training steps, as counted by <c>TrainingCost</c>.</param>
/// <param name="CpuSeconds">Seconds of the processor in training steps, of all threads.</param>
/// <param name="WallSeconds">Seconds in training steps.</param>
/// <param name="Loss">Loss of held-out images at p = 1 with the trained weights, nats per code; null without such images.</param>
/// <param name="EmaLoss">The same with the EMA weights.</param>
/// <param name="Figures">Figures of images that the EMA weights drew, by name.</param>
internal sealed record RunMark(
    long Step, long Images, double Flops, double CpuSeconds, double WallSeconds, double? Loss, double? EmaLoss,
    IReadOnlyDictionary<string, double> Figures);
