using NextPatch.Core.Configuration;
using NextPatch.Torch.Devices;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Gpt.Fused;
using NextPatch.Torch.Gpt.Reference;
using NextPatch.Training.Optimization;

namespace NextPatch.Cli.Benchmarking;

/// <summary>The step as <c>train</c> does it.</summary>
internal sealed class OwnStep : ITrainStep
{
    private readonly GptModel _model;
    private readonly IGptPass _pass;
    private readonly IOptimizer _optimizer;
    private readonly TrainingConfig _training;
    private readonly Action _wait;

    /// <param name="config">The model.</param>
    /// <param name="training">Precision, optimiser, implementation of the step.</param>
    /// <param name="recompute">Activation checkpointing.</param>
    /// <param name="device">Where the reference step computes.</param>
    /// <param name="isPlain">Whether the fused step takes every row of a caption as a key of attention.</param>
    public OwnStep(GptConfig config, TrainingConfig training, bool recompute, string device = "cpu", bool isPlain = false)
    {
        _training = training;
        _model = new GptModel(config);
        GptInitializer.Initialize(_model, 1);
        TorchDevices.Move(_model, device);
        _wait = device.StartsWith("cuda", StringComparison.Ordinal) ? () => TorchSharp.torch.cuda.synchronize() : () => { };
        var parameters = _model.named_parameters().Select(p => (p.name, p.parameter));
        if (training.StepImplementation == StepImplementation.Fused)
        {
            _pass = new FusedGpt(_model, training.Precision, recompute, isPlain: isPlain);
            _optimizer = new AdamW(parameters, training, _pass.Copies);
        }
        else
        {
            _pass = new ReferenceGpt(_model, precision: training.Precision, recompute: recompute);
            _optimizer = new FlatAdamW(parameters, training);
        }
    }

    /// <summary>
    /// Bytes that an update reads and writes: gradient read for the norm and for the update, weight, two moments and the average read and written,
    /// the bf16 copy written.
    /// </summary>
    public static double OptimiserBytes(GptConfig config, TrainingConfig training)
        => config.ParameterCount * (28.0 + (training.ClipNorm > 0 ? 4 : 0) + (training.EmaDecay > 0 ? 8 : 0) + (
            training.Precision == ComputePrecision.Bf16 ? 2 : 0));

    /// <summary>Seconds by part since the last call.</summary>
    public IReadOnlyDictionary<StepPart, double> TakeSeconds()
    {
        if (_pass is not FusedGpt fused)
        {
            return new Dictionary<StepPart, double>();
        }

        var seconds = fused.Seconds;
        fused.ResetSeconds();
        return seconds;
    }

    public void Forward(BenchBatch batch)
    {
        _pass.Forward(batch.Labels, batch.Codes, batch.Geometry, seed: 1, captions: batch.Captions);
        _pass.TakeLoss(); // a device is told what to do and computes later
    }

    public void Backward()
    {
        _pass.Backward();
        _wait();
    }

    public void Optimise()
    {
        _optimizer.Step(_training.LearningRate, _optimizer.GradientNorm());
        _wait();
    }

    public void Dispose()
    {
        _pass.Dispose();
        (_optimizer as IDisposable)?.Dispose();
        _model.Dispose();
    }
}
