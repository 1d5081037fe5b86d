using NextPatch.Core.Configuration;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Patches;
using NextPatch.Training.Optimization;
using static TorchSharp.torch;

namespace NextPatch.Cli.Benchmarking;

/// <summary>The step as <c>train</c> does it.</summary>
internal sealed class OwnStep : ITrainStep
{
    private readonly GptModel _model;
    private readonly AdamW _optimizer;
    private readonly TrainingConfig _training;
    private TorchSharp.DisposeScope? _scope;
    private Tensor? _hidden;
    private Tensor? _gradient;

    public OwnStep(GptConfig config, TrainingConfig training)
    {
        _training = training;
        _model = new GptModel(config);
        GptInitializer.Initialize(_model, 1);
        _model.train();
        _optimizer = new AdamW(_model.named_parameters().Select(p => (p.name, p.parameter)), training);
    }

    /// <summary>Bytes that an update reads and writes: gradient read, weight, two moments and the average read and written.</summary>
    public static double OptimiserBytes(GptConfig config, TrainingConfig training) => config.ParameterCount * (28.0 + (training.EmaDecay > 0 ? 8 : 0));

    public void Forward(BenchBatch batch)
    {
        _scope = NewDisposeScope();
        var grouping = new MeanPatchGrouping(batch.Geometry);
        var codes = tensor(batch.Codes, [batch.Images, batch.Codes.Length / batch.Images]); // [B, T]
        _hidden = _model.PatchHidden(tensor(batch.Labels), codes, grouping);
        (_, _gradient) = PatchLoss.Backward(_hidden, _model.Head, grouping.Targets(codes));
    }

    public void Backward()
    {
        _hidden!.backward([_gradient!]);
        _scope!.Dispose();
        _scope = null;
    }

    public void Optimise() => _optimizer.Step(_training.LearningRate, _optimizer.GradientNorm());

    public void Dispose()
    {
        _scope?.Dispose();
        _model.Dispose();
    }
}
