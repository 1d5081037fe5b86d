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

// Shape letters: B batch, N patches per image, T codes per image, C width, V vocabulary, P codes per patch.

/// <summary>
/// The LlamaGen decoder: a class token, then tokens of codes or of patches of codes, causal blocks, one output head. State keys and
/// shapes are the published ones.
/// </summary>
public sealed class GptModel : Module
{
    [ComponentName(Name = "cls_embedding")] private readonly ClassEmbedding _classEmbedding;
    [ComponentName(Name = "tok_embeddings")] private readonly EmbeddingTable _codeEmbeddings;
    [ComponentName(Name = "layers")] private readonly ModuleList<GptBlock> _layers;
    [ComponentName(Name = "norm")] private readonly RmsNorm _norm;
    [ComponentName(Name = "output")] private readonly Projection _output;
    private readonly RotaryEmbedding2d _rotary;

    /// <summary>Builds the modules with unset weights: call <see cref="GptInitializer.Initialize"/> or load a checkpoint.</summary>
    /// <exception cref="ConfigException">The shape cannot work.</exception>
    /// <exception cref="NextPatchException">libtorch does not load.</exception>
    public GptModel(GptConfig config)
        : base(NativeBackend.LoadedFor(nameof(GptModel)))
    {
        Config = config.Validated();
        _classEmbedding = new ClassEmbedding(config);
        _codeEmbeddings = new EmbeddingTable(config.VocabularySize, config.Width);
        _layers = new ModuleList<GptBlock>([.. Enumerable.Range(0, config.LayerCount).Select(i => new GptBlock(config, i))]);
        _norm = new RmsNorm(config.Width, config.NormEpsilon);
        _output = new Projection(config.Width, config.VocabularySize);
        _rotary = new RotaryEmbedding2d(config.HeadWidth, conditionTokens: 1, config.RopeBase);
        RegisterComponents();
    }

    /// <summary>The transformer's shape.</summary>
    public GptConfig Config { get; }

    /// <summary>Weight of the output head, float [V, C].</summary>
    public Parameter Head => _output.Weight;

    /// <summary>Hidden states that predict each patch, before the output head.</summary>
    /// <param name="labels">Classes or null class, int64 [B].</param>
    /// <param name="codes">Codes in row-major order, int64 [B, T].</param>
    /// <param name="grouping">How codes become patch tokens.</param>
    /// <returns>float [B, N, C] in the caller's dispose scope; position i predicts patch i. Does not depend on the module's mode except for
    /// dropout.</returns>
    public Tensor PatchHidden(Tensor labels, Tensor codes, IPatchGrouping grouping) => PatchHidden(labels, codes, grouping, null);

    /// <summary>The same with dropout that is given; null: as the module's mode says, from libtorch's generator.</summary>
    internal Tensor PatchHidden(
        Tensor labels, Tensor codes, IPatchGrouping grouping, GptDropout? dropout, PatchPosition position = PatchPosition.Grid)
    {
        using var scope = NewDisposeScope();
        var patches = Patches(codes, grouping);                                                          // [B, N, C]
        var sequence = cat([_classEmbedding.forward(labels), patches.narrow(1, 0, patches.size(1) - 1)], 1); // [B, N, C]
        return Hidden(sequence, grouping.Geometry, dropout, position).MoveToOuterDisposeScope();
    }

    /// <summary>Logits of every position, the one after the last patch included; what the published model returns in evaluation mode.</summary>
    /// <returns>[B, 1 + N, V].</returns>
    public Tensor AllLogits(Tensor labels, Tensor codes, IPatchGrouping grouping)
    {
        using var scope = NewDisposeScope();
        var sequence = cat([_classEmbedding.forward(labels), Patches(codes, grouping)], 1); // [B, 1 + N, C]
        return _output.forward(Hidden(sequence, grouping.Geometry, null)).MoveToOuterDisposeScope();
    }

    /// <summary>Starts a generation: fills the cache with the class token.</summary>
    /// <param name="labels">int64 [B].</param>
    /// <param name="cache">An empty cache.</param>
    /// <returns>Logits of the first code, float [B, V].</returns>
    public Tensor Prefill(Tensor labels, KvCache cache)
    {
        using var scope = NewDisposeScope();
        return Decode(_classEmbedding.forward(labels), cache).MoveToOuterDisposeScope();
    }

    /// <summary>Adds one code per row to the cache.</summary>
    /// <param name="codes">int64 [B].</param>
    /// <param name="cache">The cache that <see cref="Prefill"/> started.</param>
    /// <returns>Logits of the next code, float [B, V].</returns>
    public Tensor DecodeStep(Tensor codes, KvCache cache)
    {
        using var scope = NewDisposeScope();
        return Decode(_codeEmbeddings.forward(codes).unsqueeze(1), cache).MoveToOuterDisposeScope();
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

    private Tensor Hidden(Tensor sequence, PatchGeometry geometry, GptDropout? dropout, PatchPosition position = PatchPosition.Grid)
    {
        var h = dropout is null ? functional.dropout(sequence, Config.TokenDropout, training) : DropoutTensors.Drop(sequence, dropout.Tokens);
        var rotary = _rotary.For(geometry, position, sequence.device).narrow(0, 0, sequence.size(1)); // [N or N + 1, 1, D/2]
        foreach (var layer in _layers)
        {
            h = layer.forward(h, rotary, null, dropout);
        }

        return _norm.forward(h);
    }

    private Tensor Decode(Tensor token, KvCache cache)
    {
        var rotary = _rotary.For(new PatchGeometry(Config.GridSide, 1), PatchPosition.Grid, token.device).narrow(0, cache.Length, 1); // [1, 1, D/2]
        var h = token;                                                                      // [B, 1, C]
        for (var i = 0; i < _layers.Count; i++)
        {
            h = _layers[i].forward(h, rotary, cache[i], null);
        }

        return _output.forward(_norm.forward(h)).squeeze(1).to_type(ScalarType.Float32);    // [B, V]
    }
}
