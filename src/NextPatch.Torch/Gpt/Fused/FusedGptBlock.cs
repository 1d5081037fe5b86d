using NextPatch.Core.Configuration;
using NextPatch.Kernels.Attention;
using NextPatch.Kernels.Elementwise;
using NextPatch.Kernels.Simd;
using static TorchSharp.torch;

namespace NextPatch.Torch.Gpt.Fused;

// Shape letters: R rows (images x tokens), C width, Q width of queries, keys and values together, M width of mixed heads, F feed-forward width, B
// images, N tokens.

/// <summary>Forward and backward pass of one <see cref="GptBlock"/>, which is its reference.</summary>
internal sealed unsafe class FusedGptBlock<T, L> : IDisposable
    where T : unmanaged, IElement<T>
    where L : unmanaged, ISimd<L>
{
    private readonly GptConfig _config;
    private readonly StepProfiler _clock;
    private readonly Workspace<T> _shared;
    private readonly FusedParameter _norm, _middleNorm;
    private readonly FusedLinear<T> _qkv, _output, _gateUp, _down;
    private AttentionKernel<L> _attention = null!;

    public FusedGptBlock(
        GptConfig config, int layer, Func<string, FusedParameter> parameter, Workspace<T> shared, SavedActivations<T> kept, StepProfiler clock)
    {
        (_config, _shared, Kept, _clock, Layer) = (config, shared, kept, clock, layer);
        FusedParameter Own(string name) => parameter($"layers.{layer}.{name}.weight");
        (_norm, _middleNorm) = (Own("attention_norm"), Own("ffn_norm"));
        (_qkv, _output) = (new(Own("attention.wqkv")), new(Own("attention.wo")));
        (_gateUp, _down) = (new(Own("feed_forward.w1"), Own("feed_forward.w3")), new(Own("feed_forward.w2")));
    }

    public int Layer { get; }

    public SavedActivations<T> Kept { get; }

    /// <summary>By state key; none in float.</summary>
    public IEnumerable<(string Name, Tensor Copy)> Copies
        => [.. Named(_qkv, "attention.wqkv"), .. Named(_output, "attention.wo"), .. Named(_gateUp, "feed_forward.w1", "feed_forward.w3"),
            .. Named(_down, "feed_forward.w2")];

    public void Refresh()
    {
        foreach (var map in (FusedLinear<T>[])[_qkv, _output, _gateUp, _down])
        {
            map.Refresh();
        }
    }

    /// <param name="images">B.</param>
    /// <param name="tokens">N.</param>
    /// <param name="before">Residual stream of the block before, float [R, C]; null: <see cref="SavedActivations{T}.Input"/> is filled
    /// already.</param>
    /// <param name="dropBefore">How the branch of the block before, now in <see cref="Workspace{T}.Branch"/>, is dropped.</param>
    /// <param name="rotary">Factors of N tokens.</param>
    /// <param name="dropout">The pass's dropout.</param>
    /// <param name="firsts">Rows of each image that are padding, as of <see cref="AttentionKernel{L}"/>.</param>
    /// <param name="conditionRows">Rows that become one key, as of <see cref="AttentionKernel{L}"/>.</param>
    /// <param name="isAgain">Whether the backward pass asks: the last product is then not needed.</param>
    public void Forward(
        int images, int tokens, float* before, BranchDrop dropBefore, RotaryRows rotary, GptDropout dropout, int[]? firsts, int conditionRows,
        bool isAgain = false)
    {
        int rows = images * tokens, width = _config.Width;
        var input = (float*)Kept.Input.Address;
        _attention = new AttentionKernel<L>(
            tokens, _config.HeadCount, _config.KvHeads, _config.HeadWidth, rotary, dropout.AttentionWeights(Layer), firsts, conditionRows);
        var isFilled = before == null;
        NormKernel<L>.Forward(
            rows, width, isFilled ? input : before, isFilled ? null : (T*)_shared.Branch.Address, dropBefore, input, _norm.Address,
            (float)_config.NormEpsilon, (T*)Kept.Normed.Address, (float*)Kept.Inverse.Address);
        _clock.Lap(StepPart.Norms);
        _qkv.Forward(Kept.Normed.Tensor, Kept.Qkv.Tensor);                                         // [R, Q]
        _clock.Lap(StepPart.Products);
        _attention.Forward(images, (T*)Kept.Qkv.Address, (T*)Kept.Mixed.Address, (float*)Kept.LogSums.Address); // [R, M]
        _clock.Lap(StepPart.Attention);
        _output.Forward(Kept.Mixed.Tensor, _shared.Branch.Tensor);                                 // [R, C]
        _clock.Lap(StepPart.Products);
        NormKernel<L>.Forward(
            rows, width, input, (T*)_shared.Branch.Address, dropout.AttentionBranch(Layer), (float*)Kept.Middle.Address, _middleNorm.Address,
            (float)_config.NormEpsilon,
            (T*)Kept.MiddleNormed.Address, (float*)Kept.MiddleInverse.Address);
        _clock.Lap(StepPart.Norms);
        _gateUp.Forward(Kept.MiddleNormed.Tensor, Kept.GateUp.Tensor);                             // [R, 2 F]
        _clock.Lap(StepPart.Products);
        if (isAgain)
        {
            return;
        }

        SwiGluKernel<L>.Forward(rows, _config.FfnWidth, (T*)Kept.GateUp.Address, (T*)_shared.Hidden.Address); // [R, F]
        _clock.Lap(StepPart.SwiGlu);
        _down.Forward(_shared.Hidden.Tensor, _shared.Branch.Tensor);                               // [R, C]
        _clock.Lap(StepPart.Products);
    }

    /// <summary>
    /// Takes the gradient of the block's branch and residual stream from <see cref="Workspace{T}"/> and leaves there those of the block before.
    /// </summary>
    /// <param name="images">B.</param>
    /// <param name="tokens">N.</param>
    /// <param name="dropout">The pass's dropout.</param>
    /// <param name="add">Whether the step has gradients already.</param>
    public void Backward(int images, int tokens, GptDropout dropout, bool add)
    {
        int rows = images * tokens, width = _config.Width;
        var (branchGradient, residual) = (_shared.BranchGradient.Tensor, (nint)_shared.ResidualGradient.Address);
        _down.InputGradient(branchGradient, _shared.HiddenGradient.Tensor);                        // [R, F]
        _clock.Lap(StepPart.Products);
        SwiGluKernel<L>.Backward(rows, _config.FfnWidth, (T*)Kept.GateUp.Address, (T*)_shared.HiddenGradient.Address, (T*)_shared.Hidden.Address);
        _clock.Lap(StepPart.SwiGlu);
        WeightGradient(_down, branchGradient, _shared.Hidden.Tensor, add);
        WeightGradient(_gateUp, Kept.GateUp.Tensor, Kept.MiddleNormed.Tensor, add);
        _gateUp.InputGradient(Kept.GateUp.Tensor, _shared.NormedGradient.Tensor);                  // [R, C]
        _clock.Lap(StepPart.Products);
        NormKernel<L>.Backward(
            rows, width, (T*)_shared.NormedGradient.Address, (float*)Kept.Middle.Address, (float*)Kept.MiddleInverse.Address, _middleNorm.Address,
            (float*)residual, false,
            _middleNorm.GradientAddress, (T*)_shared.BranchGradient.Address, dropout.AttentionBranch(Layer));
        _clock.Lap(StepPart.Norms);
        _output.InputGradient(branchGradient, _shared.MixedGradient.Tensor);                       // [R, M]
        WeightGradient(_output, branchGradient, Kept.Mixed.Tensor, add);
        _attention.Backward(images, (T*)Kept.Qkv.Address, (T*)_shared.MixedGradient.Address, (float*)Kept.LogSums.Address);
        _clock.Lap(StepPart.Attention);
        WeightGradient(_qkv, Kept.Qkv.Tensor, Kept.Normed.Tensor, add);
        _qkv.InputGradient(Kept.Qkv.Tensor, _shared.NormedGradient.Tensor);                        // [R, C]
        _clock.Lap(StepPart.Products);
        NormKernel<L>.Backward(
            rows, width, (T*)_shared.NormedGradient.Address, (float*)Kept.Input.Address, (float*)Kept.Inverse.Address, _norm.Address,
            (float*)residual, false,
            _norm.GradientAddress, Layer == 0 ? null : (T*)_shared.BranchGradient.Address,
                Layer == 0 ? default : dropout.FeedForwardBranch(Layer - 1));
        _clock.Lap(StepPart.Norms);
    }

    public void Dispose()
    {
        foreach (var map in (FusedLinear<T>[])[_qkv, _output, _gateUp, _down])
        {
            map.Dispose();
        }
    }

    private IEnumerable<(string Name, Tensor Copy)> Named(FusedLinear<T> map, params string[] names)
        => map.Copies.Zip(names, (copy, name) => ($"layers.{Layer}.{name}.weight", copy));

    private void WeightGradient(FusedLinear<T> map, Tensor dy, Tensor x, bool add) => map.WeightGradient(dy, x, _shared.WeightGradient, add, _clock);
}
