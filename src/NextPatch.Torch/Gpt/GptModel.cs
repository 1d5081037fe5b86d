using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Patches;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Gpt;

// Shape letters: B batch, N patches per image, T codes per image, K condition rows, W features, C width, V vocabulary, P codes per patch.

/// <summary>
/// The LlamaGen decoder: a class token or the rows of a caption, then tokens of codes or of patches of codes, causal blocks, one output head.
/// State keys and shapes are the published ones.
/// </summary>
public sealed class GptModel : Module
{
    [ComponentName(Name = "cls_embedding")] private readonly Module<Tensor, Tensor> _conditionEmbedding;
    [ComponentName(Name = "tok_embeddings")] private readonly EmbeddingTable _codeEmbeddings;
    [ComponentName(Name = "layers")] private readonly ModuleList<GptBlock> _layers;
    [ComponentName(Name = "norm")] private readonly RmsNorm _norm;
    [ComponentName(Name = "output")] private readonly Projection _output;
    private readonly RotaryEmbedding2d _rotary;
    private ScalarType? _computeType;

    /// <summary>Builds the modules with unset weights: call <see cref="GptInitializer.Initialize"/> or load a checkpoint.</summary>
    /// <exception cref="ConfigException">The shape cannot work.</exception>
    /// <exception cref="NextPatchException">libtorch does not load.</exception>
    public GptModel(GptConfig config)
        : base(NativeBackend.LoadedFor(nameof(GptModel)))
    {
        Config = config.Validated();
        _conditionEmbedding = config.Text is { } text ? new CaptionEmbedding(config, text) : new ClassEmbedding(config);
        _codeEmbeddings = new EmbeddingTable(config.VocabularySize, config.Width);
        _layers = new ModuleList<GptBlock>([.. Enumerable.Range(0, config.LayerCount).Select(i => new GptBlock(config, i))]);
        _norm = new RmsNorm(config.Width, config.NormEpsilon);
        _output = new Projection(config.Width, config.VocabularySize);
        _rotary = new RotaryEmbedding2d(config.HeadWidth, config.ConditionTokens, config.RopeBase);
        RegisterComponents();
    }

    /// <summary>The transformer's shape.</summary>
    public GptConfig Config { get; }

    /// <summary>Weight of the output head, float [V, C].</summary>
    public Parameter Head => _output.Weight;

    /// <summary>The features that stand for no caption, float [K, W], frozen; null where classes condition the model.</summary>
    public Tensor? UnconditionalFeatures => (_conditionEmbedding as CaptionEmbedding)?.Unconditional;

    /// <summary>
    /// Type of products and activations, whatever that of the weights; null = that of the weights. What goes from block to block, norms, softmax and
    /// loss stay float32.
    /// </summary>
    internal ScalarType? ComputeType
    {
        get => _computeType;
        set
        {
            _computeType = value;
            foreach (var layer in _layers)
            {
                layer.ComputeType = value;
            }
        }
    }

    /// <summary>The rows before the image, float [B, K, C] in the caller's dispose scope; <paramref name="condition"/> as of
    /// <see cref="PatchHidden(Tensor, Tensor, IPatchGrouping, Tensor)"/>.</summary>
    internal Tensor ConditionRows(Tensor condition) => _conditionEmbedding.forward(condition);

    /// <summary>Hidden states that predict each patch, before the output head.</summary>
    /// <param name="condition">Classes or null class, int64 [B]; of a text model float [B, K, W], where K may be less than
    /// <see cref="GptConfig.ConditionTokens"/> when no caption of the batch is longer.</param>
    /// <param name="codes">Codes in row-major order, int64 [B, T].</param>
    /// <param name="grouping">How codes become patch tokens.</param>
    /// <returns>float [B, N, C] in the caller's dispose scope; position i predicts patch i. Does not depend on the module's mode except for
    /// dropout.</returns>
    /// <param name="isToken">Which condition rows are tokens of a caption, bool [B, K]; the others are padding, which no other row sees. Null: all.
    /// </param>
    public Tensor PatchHidden(Tensor condition, Tensor codes, IPatchGrouping grouping, Tensor? isToken = null)
        => PatchHidden(condition, codes, grouping, isToken, null);

    /// <summary>The same with dropout that is given; null: as the module's mode says, from libtorch's generator.</summary>
    /// <param name="condition">As above.</param>
    /// <param name="codes">As above.</param>
    /// <param name="grouping">As above.</param>
    /// <param name="isToken">As above.</param>
    /// <param name="dropout">What is dropped.</param>
    /// <param name="position">Where rotary positions place a patch.</param>
    /// <param name="blocks">Runs the blocks one after the other; null: as they are.</param>
    internal Tensor PatchHidden(
        Tensor condition, Tensor codes, IPatchGrouping grouping, Tensor? isToken, GptDropout? dropout, PatchPosition position = PatchPosition.Grid,
        BlockRunner? blocks = null)
    {
        using var scope = NewDisposeScope();
        var patches = Patches(codes, grouping);                                                     // [B, N, C]
        var rows = _conditionEmbedding.forward(condition);                                          // [B, K, C]
        var sequence = cat([rows, patches.narrow(1, 0, patches.size(1) - 1)], 1);                   // [B, K + N - 1, C]
        var hidden = Hidden(sequence, (int)rows.size(1), grouping.Geometry, isToken, dropout, position, blocks);
        return hidden.narrow(1, rows.size(1) - 1, patches.size(1)).MoveToOuterDisposeScope();       // [B, N, C]
    }

    /// <summary>Logits of every position, the one after the last patch included; what the published model returns in evaluation mode.</summary>
    /// <inheritdoc cref="PatchHidden(Tensor, Tensor, IPatchGrouping, Tensor)"/>
    /// <returns>[B, K + N, V].</returns>
    public Tensor AllLogits(Tensor condition, Tensor codes, IPatchGrouping grouping, Tensor? isToken = null)
    {
        using var scope = NewDisposeScope();
        var rows = _conditionEmbedding.forward(condition);                                          // [B, K, C]
        var sequence = cat([rows, Patches(codes, grouping)], 1);                                    // [B, K + N, C]
        return _output.forward(Hidden(sequence, (int)rows.size(1), grouping.Geometry, isToken, null)).MoveToOuterDisposeScope();
    }

    /// <summary>Starts a generation: fills the cache with the condition.</summary>
    /// <param name="condition">Classes, int64 [B]; of a text model features, float [B, K, W], K = <see cref="GptConfig.ConditionTokens"/>.</param>
    /// <param name="cache">An empty cache.</param>
    /// <param name="isToken">Which condition rows are tokens of a caption, bool [B, K]; null: all.</param>
    /// <returns>Logits of the first code, float [B, V].</returns>
    public Tensor Prefill(Tensor condition, KvCache cache, Tensor? isToken = null)
    {
        using var scope = NewDisposeScope();
        cache.HidePadding(isToken);
        var rows = _conditionEmbedding.forward(condition);                                          // [B, K, C]
        return Decode(rows, cache, isToken is null ? null : PrefixMask.Build(isToken, rows.size(1))).MoveToOuterDisposeScope();
    }

    /// <summary>Adds one code per row to the cache.</summary>
    /// <param name="codes">int64 [B].</param>
    /// <param name="cache">The cache that <see cref="Prefill"/> started.</param>
    /// <returns>Logits of the next code, float [B, V].</returns>
    public Tensor DecodeStep(Tensor codes, KvCache cache)
    {
        using var scope = NewDisposeScope();
        return Decode(_codeEmbeddings.forward(codes).unsqueeze(1), cache, cache.Visible?.narrow(3, 0, cache.Length + 1)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _rotary.Dispose();
        }

        base.Dispose(disposing);
    }

    /// <summary>At patch side 1 a token is its code's embedding whatever the grouping, because generation does not group.</summary>
    private Tensor Patches(Tensor codes, IPatchGrouping grouping)
        => grouping.Geometry.PatchSide == 1 ? _codeEmbeddings.forward(codes) : grouping.Group(_codeEmbeddings.forward(codes));

    private Tensor Hidden(
        Tensor sequence, int conditionRows, PatchGeometry geometry, Tensor? isToken, GptDropout? dropout, PatchPosition position = PatchPosition.Grid,
        BlockRunner? blocks = null)
    {
        var visible = isToken is null ? null : PrefixMask.Build(isToken, sequence.size(1));
        var h = dropout is null ? functional.dropout(sequence, Config.TokenDropout, training) : DropoutTensors.Drop(sequence, dropout.Tokens);
        var first = Config.ConditionTokens - conditionRows;
        var rotary = _rotary.For(geometry, position, sequence.device).narrow(0, first, sequence.size(1)); // [K + N - 1 or K + N, 1, D/2]
        Func<Tensor, Tensor>[] run = [.. _layers.Select(layer => new Func<Tensor, Tensor>(x => layer.forward(x, rotary, null, visible, dropout)))];
        h = blocks is null ? run.Aggregate(h, (x, block) => block(x)) : blocks(h, run, [.. new[] { visible, rotary }.OfType<Tensor>()]);
        var normed = _norm.forward(h);
        return ComputeType is { } type && type != normed.dtype ? normed.to_type(type) : normed;
    }

    private Tensor Decode(Tensor tokens, KvCache cache, Tensor? visible)
    {
        var count = tokens.size(1);                                                         // n = K or 1
        var rotary = _rotary.For(new PatchGeometry(Config.GridSide, 1), PatchPosition.Grid, tokens.device).narrow(0, cache.Length, count);
        var h = tokens;                                                                     // [B, n, C]
        for (var i = 0; i < _layers.Count; i++)
        {
            h = _layers[i].forward(h, rotary, cache[i], visible, null);
        }

        return _output.forward(_norm.forward(h.narrow(1, count - 1, 1))).squeeze(1).to_type(ScalarType.Float32);    // [B, V]
    }
}

/// <summary>Runs the blocks of a model, for who wants something else than one after the other.</summary>
/// <param name="tokens">float [B, T, C].</param>
/// <param name="blocks">Each from [B, T, C] to [B, T, C].</param>
/// <param name="needs">What they read beside it, for who runs them again when the caller's dispose scope has ended.</param>
/// <returns>[B, T, C] in the caller's dispose scope.</returns>
internal delegate Tensor BlockRunner(Tensor tokens, IReadOnlyList<Func<Tensor, Tensor>> blocks, IReadOnlyList<Tensor> needs);
