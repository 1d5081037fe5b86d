using NextPatch.Core.Configuration;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Patches;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace NextPatch.Cli.Benchmarking;

// Shape letters: B batch, T codes per image, N patches, P codes per patch, V vocabulary.

/// <summary>
/// The step as the published code writes it, in fp32: logits repeated P times, automatic gradients, a library's AdamW, the EMA tensor by tensor.
/// </summary>
internal sealed class LlamaGenStep : ITrainStep
{
    private readonly GptModel _model;
    private readonly List<Parameter> _parameters;
    private readonly List<Tensor> _averages;
    private readonly optim.Optimizer _optimizer;
    private readonly TrainingConfig _training;
    private TorchSharp.DisposeScope? _scope;
    private Tensor? _loss;

    public LlamaGenStep(GptConfig config, TrainingConfig training)
    {
        _training = training;
        _model = new GptModel(config);
        GptInitializer.Initialize(_model, 1);
        _model.train();
        _parameters = [.. _model.parameters()];
        using var scope = NewDisposeScope();
        _averages = [.. _parameters.Select(p => p.detach().clone().DetachFromDisposeScope())];
        _optimizer = optim.AdamW(_parameters, training.LearningRate, training.Beta1, training.Beta2, weight_decay: training.WeightDecay);
    }

    public void Forward(BenchBatch batch)
    {
        _scope = NewDisposeScope();
        var grouping = new MeanPatchGrouping(batch.Geometry);
        var codes = tensor(batch.Codes, [batch.Images, batch.Codes.Length / batch.Images]); // [B, T]
        var hidden = _model.PatchHidden(tensor(batch.Labels), codes, grouping);              // [B, N, C]
        var logits = nn.functional.linear(hidden, _model.Head);                             // [B, N, V]
        var vocabulary = logits.size(2);
        var repeated = logits.unsqueeze(2).repeat(1, 1, batch.Geometry.CodesPerPatch, 1);   // [B, N, P, V]
        _loss = nn.functional.cross_entropy(repeated.view(-1, vocabulary), IPatchGrouping.ByPatch(codes, grouping.Geometry).view(-1));
    }

    public void Backward()
    {
        _loss!.backward();
        _scope!.Dispose();
        _scope = null;
    }

    public void Optimise()
    {
        using var scope = NewDisposeScope();
        nn.utils.clip_grad_norm_(_parameters, _training.ClipNorm);
        _optimizer.step();
        _optimizer.zero_grad();
        using var noGrad = no_grad();
        foreach (var (average, parameter) in _averages.Zip(_parameters))
        {
            average.mul_(_training.EmaDecay).add_(parameter, alpha: 1 - _training.EmaDecay);
        }
    }

    public void Dispose()
    {
        _scope?.Dispose();
        _optimizer.Dispose();
        _averages.ForEach(a => a.Dispose());
        _model.Dispose();
    }
}
