using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;
using NextPatch.Torch.Patches;
using static TorchSharp.torch;

namespace NextPatch.Torch.Gpt.Reference;

// Shape letters: B images, T codes per image, N patches per image, C width, P codes per patch.

/// <summary>
/// The training step by libtorch's automatic gradients: the modules of <see cref="GptModel"/> as they are written, <see cref="PatchLoss"/>, any
/// <see cref="IPatchGrouping"/>, in fp32 on the model's device. The fused step is held against it; it drops the same elements.
/// </summary>
/// <remarks>Beside <c>FusedGpt</c> it keeps every intermediate result, allocates them anew, and lays factors of dropout out in memory.</remarks>
internal sealed class ReferenceGpt : IGptPass
{
    private readonly GptModel _model;
    private readonly string _grouping;
    private readonly double _targetPower;
    private readonly PatchPosition _position;
    private (Tensor Hidden, Tensor Gradient)? _state;

    /// <param name="model">In float32; stays the caller's.</param>
    /// <param name="grouping">Name of the grouping in <see cref="PatchGroupings"/>.</param>
    /// <param name="targetPower">See <see cref="PatchTargetWeights"/>.</param>
    /// <param name="position">Where rotary positions place a patch.</param>
    /// <exception cref="ConfigException">The grouping is unknown.</exception>
    public ReferenceGpt(
        GptModel model, string grouping = PatchGroupings.Mean, double targetPower = 0, PatchPosition position = PatchPosition.Grid)
    {
        (_model, _grouping, _targetPower, _position) = (model, grouping, targetPower, position);
        _ = PatchGroupings.IsLinear(grouping); // unknown names are refused now
    }

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, Tensor> Copies { get; } = new Dictionary<string, Tensor>();

    /// <inheritdoc/>
    public void RefreshCopies()
    {
    }

    /// <inheritdoc/>
    public double Forward(
        ReadOnlyMemory<long> labels, ReadOnlyMemory<long> codes, PatchGeometry geometry, ulong seed = 0, double scale = 1,
        CaptionBatch? captions = null, int firstImage = 0)
    {
        using var scope = NewDisposeScope();
        Forget();
        var rows = geometry.PatchCount - 1 + (captions?.Rows(_model.Config.Text!.FeatureWidth) ?? 1);
        var dropout = new GptDropout(_model.Config, seed, labels.Length, rows, firstImage);
        var (hidden, targets) = Hidden(labels, codes, geometry, captions, dropout);
        var (loss, gradient) = PatchLoss.Backward(hidden, _model.Head, targets, scale, Weights(geometry));
        _state = (hidden.DetachFromDisposeScope(), gradient.DetachFromDisposeScope());
        return loss.item<float>();
    }

    /// <inheritdoc/>
    public void Backward(Action<string>? isDone = null)
    {
        var (hidden, gradient) = _state ?? throw new InvalidOperationException("Backward was called without a forward pass before it.");
        hidden.backward([gradient]);
        Forget();
        foreach (var (name, _) in isDone is null ? [] : _model.named_parameters())
        {
            isDone!(name);
        }
    }

    /// <inheritdoc/>
    public double Evaluate(ReadOnlyMemory<long> labels, ReadOnlyMemory<long> codes, PatchGeometry geometry, CaptionBatch? captions = null)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Forget();
        var (hidden, targets) = Hidden(labels, codes, geometry, captions, GptDropout.None(_model.Config));
        return PatchLoss.Evaluate(hidden, _model.Head, targets, Weights(geometry)).item<float>();
    }

    /// <inheritdoc/>
    public void Dispose() => Forget();

    private float[] Weights(PatchGeometry geometry) => PatchTargetWeights.Create(geometry.CodesPerPatch, _targetPower);

    private (Tensor Hidden, Tensor Targets) Hidden(
        ReadOnlyMemory<long> labels, ReadOnlyMemory<long> codes, PatchGeometry geometry, CaptionBatch? captions, GptDropout dropout)
    {
        var device = _model.Head.device;
        var (condition, isToken) = captions?.ToTensors(_model) ?? (tensor(labels.ToArray(), device: device), null); // [B, K, W] or [B]
        var codeTensor = tensor(codes.ToArray(), [labels.Length, codes.Length / labels.Length], device: device); // [B, T]
        var hidden = _model.PatchHidden(
            condition, codeTensor, PatchGroupings.Create(_grouping, geometry), isToken, dropout, _position); // [B, N, C]
        return (hidden, IPatchGrouping.ByPatch(codeTensor, geometry));                                      // [B, N, P]
    }

    private void Forget()
    {
        _state?.Hidden.Dispose();
        _state?.Gradient.Dispose();
        _state = null;
    }
}
