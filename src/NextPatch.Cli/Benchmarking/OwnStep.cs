using NextPatch.Core.Configuration;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Gpt.Fused;
using NextPatch.Training.Optimization;

namespace NextPatch.Cli.Benchmarking;

/// <summary>The step as <c>train</c> does it.</summary>
internal sealed class OwnStep : ITrainStep
{
    private readonly GptModel _model;
    private readonly FusedGpt _pass;
    private readonly AdamW _optimizer;
    private readonly TrainingConfig _training;

    public OwnStep(GptConfig config, TrainingConfig training, bool recompute, bool isPlain = false)
    {
        _training = training;
        _model = new GptModel(config);
        GptInitializer.Initialize(_model, 1);
        _pass = new FusedGpt(_model, training.Precision, recompute, isPlain: isPlain);
        _optimizer = new AdamW(_model.named_parameters().Select(p => (p.name, p.parameter)), training, _pass.Copies);
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
        var seconds = _pass.Seconds;
        _pass.ResetSeconds();
        return seconds;
    }

    public void Forward(BenchBatch batch) => _pass.Forward(batch.Labels, batch.Codes, batch.Geometry, seed: 1, captions: batch.Captions);

    public void Backward() => _pass.Backward();

    public void Optimise() => _optimizer.Step(_training.LearningRate, _optimizer.GradientNorm());

    public void Dispose()
    {
        _pass.Dispose();
        _model.Dispose();
    }
}
