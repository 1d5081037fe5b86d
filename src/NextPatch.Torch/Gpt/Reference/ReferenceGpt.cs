using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;
using NextPatch.Torch.Devices;
using NextPatch.Torch.Patches;
using static TorchSharp.torch;

namespace NextPatch.Torch.Gpt.Reference;

// Shape letters: B images, T codes per image, N patches per image, C width, P codes per patch.

/// <summary>
/// The training step by libtorch's automatic gradients, on the model's device: the modules of <see cref="GptModel"/> as they are written,
/// <see cref="PatchLoss"/>, any <see cref="IPatchGrouping"/>. The fused step is held against it; it drops the same elements.
/// </summary>
/// <remarks>Beside <c>FusedGpt</c> it keeps every intermediate result, allocates them anew, and lays factors of dropout out in memory. In bf16 the
/// float32 weights are rounded where they are used, so their gradients are float32.</remarks>
internal sealed class ReferenceGpt : IGptPass
{
    private readonly GptModel _model;
    private readonly string _grouping;
    private readonly double _targetPower;
    private readonly PatchPosition _position;
    private readonly bool _recompute;
    private readonly ScalarType? _computeType;
    private readonly List<(Tensor Loss, double Scale)> _losses = [];
    private (Tensor Hidden, Tensor Gradient)? _state;
    private BlockInputs? _inputs; // with recompute

    /// <param name="model">In float32; stays the caller's.</param>
    /// <param name="grouping">Name of the grouping in <see cref="PatchGroupings"/>.</param>
    /// <param name="targetPower">See <see cref="PatchTargetWeights"/>.</param>
    /// <param name="position">Where rotary positions place a patch.</param>
    /// <param name="precision">Type of products and activations: fp32 or bf16.</param>
    /// <param name="recompute">Activation checkpointing: keep only each block's input and compute the rest again.</param>
    /// <exception cref="ConfigException">The grouping is unknown, or another precision.</exception>
    public ReferenceGpt(
        GptModel model, string grouping = PatchGroupings.Mean, double targetPower = 0, PatchPosition position = PatchPosition.Grid,
        ComputePrecision precision = ComputePrecision.Fp32, bool recompute = false)
    {
        (_model, _grouping, _targetPower, _position, _recompute) = (model, grouping, targetPower, position, recompute);
        _ = PatchGroupings.IsLinear(grouping); // unknown names are refused now
        _computeType = precision switch
        {
            ComputePrecision.Fp32 => null,
            ComputePrecision.Bf16 => ScalarType.BFloat16,
            _ => throw new ConfigException($"The reference step computes in fp32 or bf16, not in {precision}.") { Settings = ["Precision"] },
        };
    }

    /// <summary>
    /// Bytes that a pass keeps for the backward pass beside the parameters and their gradients, and works in. Counted from what libtorch saves of
    /// each operation; within a fifth of what was measured (docs/results.md).
    /// </summary>
    /// <param name="config">The model.</param>
    /// <param name="precision">Type of products and activations.</param>
    /// <param name="rows">Images times tokens of the largest micro-batch, condition rows included.</param>
    /// <param name="tokens">Tokens of an image.</param>
    /// <param name="recompute">Activation checkpointing.</param>
    /// <param name="isDevice">Whether it is another device than the processor, where more logits are alive at once.</param>
    public static long BytesFor(GptConfig config, ComputePrecision precision, long rows, long tokens, bool recompute, bool isDevice)
    {
        long element = precision == ComputePrecision.Bf16 ? sizeof(ushort) : sizeof(float), width = config.Width;
        long queries = (long)config.HeadCount * config.HeadWidth, keys = (long)config.KvHeads * config.HeadWidth;

        // Both norms: their input and what they scale in float, and what the products take.
        var norms = 2 * width * (sizeof(float) + sizeof(float) + element);
        // Rotated queries and keys, values with the projection that holds them, what attention gives, twice: as it is and laid out for its product.
        var attention = element * (queries + keys + config.QkvWidth + (2 * queries));
        var feedForward = element * 4 * config.FfnWidth;
        var dropout = sizeof(float) * width * ((config.ResidualDropout > 0 ? 1 : 0) + (config.FfnDropout > 0 ? 1 : 0));
        if (config.AttentionDropout > 0)
        {
            // Scores, weights, factors and dropped weights lie side by side, T for each row and head.
            attention += config.HeadCount * tokens * ((3 * sizeof(float)) + (2 * element));
        }

        var block = norms + attention + feedForward + dropout;
        var kept = recompute ? (config.LayerCount * width * sizeof(float)) + block : config.LayerCount * block;
        var roundedWeights = precision == ComputePrecision.Bf16 ? sizeof(ushort) * config.ParameterCount / (recompute ? config.LayerCount : 1) : 0;
        var logits = Math.Min(rows * config.VocabularySize, isDevice ? PatchLoss.LogitsPerChunkOfDevices : PatchLoss.LogitsPerChunk);
        return (rows * (kept + (width * (sizeof(float) + (2 * element))))) + roundedWeights + (logits * (sizeof(float) + element + sizeof(float)));
    }

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, Tensor> Copies { get; } = new Dictionary<string, Tensor>();

    /// <inheritdoc/>
    public void RefreshCopies()
    {
    }

    /// <inheritdoc/>
    public void Forward(
        ReadOnlyMemory<long> labels, ReadOnlyMemory<long> codes, PatchGeometry geometry, ulong seed = 0, double scale = 1,
        CaptionBatch? captions = null, int firstImage = 0)
    {
        using var scope = NewDisposeScope();
        Forget();
        var rows = geometry.PatchCount - 1 + (captions?.Rows(_model.Config.Text!.FeatureWidth) ?? 1);
        var dropout = new GptDropout(_model.Config, seed, labels.Length, rows, firstImage);
        var (hidden, targets) = Hidden(labels, codes, geometry, captions, dropout, _recompute ? KeepInputs : null);
        var (loss, gradient) = PatchLoss.Backward(hidden, _model.Head, targets, scale, Weights(geometry));
        _state = (hidden.DetachFromDisposeScope(), gradient.DetachFromDisposeScope());
        _losses.Add((loss.DetachFromDisposeScope(), scale));
    }

    /// <inheritdoc/>
    public void Backward(Action<string>? isDone = null)
    {
        var (hidden, gradient) = _state ?? throw new InvalidOperationException("Backward was called without a forward pass before it.");
        hidden.backward([gradient]);
        _inputs?.Backward();
        Forget();
        foreach (var (name, _) in isDone is null ? [] : _model.named_parameters())
        {
            isDone!(name);
        }
    }

    /// <inheritdoc/>
    public double TakeLoss()
    {
        var sum = _losses.Sum(l => l.Scale * l.Loss.item<float>());
        ForgetLosses();
        return sum;
    }

    /// <inheritdoc/>
    public double Evaluate(ReadOnlyMemory<long> labels, ReadOnlyMemory<long> codes, PatchGeometry geometry, CaptionBatch? captions = null)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Forget();
        var (hidden, targets) = Hidden(labels, codes, geometry, captions, GptDropout.None(_model.Config), null);
        return PatchLoss.Evaluate(hidden, _model.Head, targets, Weights(geometry)).item<float>();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Forget();
        ForgetLosses();
    }

    private float[] Weights(PatchGeometry geometry) => PatchTargetWeights.Create(geometry.CodesPerPatch, _targetPower);

    private (Tensor Hidden, Tensor Targets) Hidden(
        ReadOnlyMemory<long> labels, ReadOnlyMemory<long> codes, PatchGeometry geometry, CaptionBatch? captions, GptDropout dropout,
        BlockRunner? blocks)
    {
        var device = _model.Head.device;
        var (condition, isToken) = captions?.ToTensors(_model) ?? (TorchDevices.Upload(tensor(labels.ToArray()), device), null); // [B, K, W] or [B]
        var codeTensor = TorchDevices.Upload(tensor(codes.ToArray(), [labels.Length, codes.Length / labels.Length]), device);     // [B, T]
        var hidden = InComputeType(() => _model.PatchHidden(
            condition, codeTensor, PatchGroupings.Create(_grouping, geometry), isToken, dropout, _position, blocks)); // [B, N, C]
        return (hidden, IPatchGrouping.ByPatch(codeTensor, geometry));                                               // [B, N, P]
    }

    /// <summary>Runs the blocks without keeping more than what goes into each.</summary>
    private Tensor KeepInputs(Tensor tokens, IReadOnlyList<Func<Tensor, Tensor>> blocks, IReadOnlyList<Tensor> needs)
    {
        _inputs = new BlockInputs(tokens, blocks, needs, (block, x) => InComputeType(() => block(x)));
        return _inputs.Run();
    }

    /// <summary>Who draws from the model between steps computes in the type of its weights.</summary>
    private Tensor InComputeType(Func<Tensor> compute)
    {
        var before = _model.ComputeType;
        _model.ComputeType = _computeType;
        try
        {
            return compute();
        }
        finally
        {
            _model.ComputeType = before;
        }
    }

    private void ForgetLosses()
    {
        _losses.ForEach(l => l.Loss.Dispose());
        _losses.Clear();
    }

    private void Forget()
    {
        _state?.Hidden.Dispose();
        _state?.Gradient.Dispose();
        _state = null;
        _inputs?.Dispose();
        _inputs = null;
    }
}
