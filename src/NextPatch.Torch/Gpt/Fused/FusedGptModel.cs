using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;
using NextPatch.Kernels.Attention;
using NextPatch.Kernels.Elementwise;
using NextPatch.Kernels.Gemm;
using NextPatch.Kernels.Simd;
using NextPatch.Torch.Patches;
using static TorchSharp.torch;

namespace NextPatch.Torch.Gpt.Fused;

// Shape letters: B images, K condition rows, N patches per image, R = B (K + N - 1) rows, r rows of a chunk, C width, V vocabulary, P codes per
// patch.

/// <summary><see cref="FusedGpt"/> for one type of activations.</summary>
internal sealed unsafe partial class FusedGptModel<T, L> : IFusedGptModel
    where T : unmanaged, IElement<T>
    where L : unmanaged, ISimd<L>
{
    /// <summary>
    /// Logits alive at once: as many as a gradient of the head of the largest vocabularies has elements, so that it is mostly formed in one product.
    /// </summary>
    private const long LogitsPerChunk = 1 << 24;

    private readonly GptModel _model;
    private readonly bool _recompute, _isPlain;
    private readonly PatchObjective _objective;
    private readonly Dictionary<string, FusedParameter> _parameters;
    private readonly Workspace<T> _shared;
    private readonly FusedGptBlock<T, L>[] _blocks;
    private readonly FusedLinear<T> _head;
    private readonly Activation _final, _finalNormed, _finalInverse, _logits;
    private readonly Activation _predicting, _predictingGradient; // [B N, C]: the rows that predict patches, where captions come before them
    private readonly Dictionary<(int Side, int ConditionRows), RotaryRows> _rotary = [];
    private PassState? _state;

    public FusedGptModel(GptModel model, bool recompute, PatchObjective objective, bool isPlain)
    {
        (_model, _recompute, _objective, _isPlain) = (model, recompute, objective, isPlain);
        var config = model.Config;
        // The embedding of captions, a small part of the work, is libtorch's, gradients included.
        _parameters = model.named_parameters().Where(p => !p.name.StartsWith("cls_embedding.cap_proj.", StringComparison.Ordinal))
            .ToDictionary(p => p.name, p => new FusedParameter(p.parameter));
        _shared = new Workspace<T>(config);
        var kept = new SavedActivations<T>[config.LayerCount];
        for (var layer = 0; layer < kept.Length; layer++)
        {
            kept[layer] = recompute && layer > 0 ? new SavedActivations<T>(config, kept[0]) : new SavedActivations<T>(config);
        }

        _blocks = [.. kept.Select((k, layer) => new FusedGptBlock<T, L>(config, layer, name => _parameters[name], _shared, k, Clock))];
        _head = new FusedLinear<T>(_parameters["output.weight"]);
        _final = new Activation(config.Width, ScalarType.Float32);
        _finalNormed = new Activation(config.Width, TensorMemory.TypeOf<T>());
        _finalInverse = new Activation(1, ScalarType.Float32);
        _predicting = new Activation(config.Width, TensorMemory.TypeOf<T>());
        _predictingGradient = new Activation(config.Width, TensorMemory.TypeOf<T>());
        _logits = new Activation(config.VocabularySize, TensorMemory.TypeOf<T>());
        Refresh();
    }

    /// <inheritdoc cref="FusedGpt.BytesFor"/>
    public static long BytesFor(GptConfig config, long rows, bool recompute)
    {
        using var shared = new Workspace<T>(config); // memory comes with rows, so these cost nothing
        using var block = new SavedActivations<T>(config);
        long width = config.Width, vocabulary = config.VocabularySize;
        var others = (config.LayerCount - 1) * (recompute ? block.Input.BytesPerRow : block.BytesPerRow);
        var final = ((width + 1) * sizeof(float)) + (width * sizeof(T));
        var perRow = block.BytesPerRow + others + shared.BytesPerRow + final;
        var logits = ChunkRows(vocabulary, rows) * vocabulary;
        var copies = TensorMemory.TypeOf<T>() == ScalarType.Float32 ? 0 : (config.LayerCount * config.BlockMatrixWeights) + (width * vocabulary);
        var products = TorchGemm.IsPreferredFor<T>() ? BlockedGemm<Fp32, Fp32GemmTiles>.PanelBytes
            // a weight's gradient
            : TensorMemory.TypeOf<T>() == ScalarType.Float32
                ? 0
                : width * Math.Max(vocabulary, Math.Max(2L * config.FfnWidth, config.QkvWidth)) * sizeof(T);
        return (rows * perRow) + ((logits + copies) * sizeof(T)) + products;
    }

    public StepProfiler Clock { get; } = new();

    public IEnumerable<(string Name, Tensor Copy)> Copies
        => [.. _blocks.SelectMany(b => b.Copies), .. _head.Copies.Select(c => ("output.weight", c))];

    public void Refresh()
    {
        Array.ForEach(_blocks, b => b.Refresh());
        _head.Refresh();
    }

    public double Forward(
        ReadOnlyMemory<long> labels, ReadOnlyMemory<long> codes, PatchGeometry geometry, ulong seed, double scale, CaptionBatch? captions,
        int firstImage)
    {
        using var noGrad = no_grad();
        Forget();
        var rows = captions is null ? null : new CaptionRows(_model, captions, withGradients: true);
        var tokens = geometry.PatchCount - 1 + (rows?.Count ?? 1);
        var dropout = new GptDropout(_model.Config, seed, labels.Length, tokens, firstImage);
        _state = new PassState(labels, codes, geometry, rows, dropout, Rotary(geometry, rows), AttachGradients());
        Hidden(_state);
        return Head(_state, scale, withGradients: true);
    }

    public double Evaluate(ReadOnlyMemory<long> labels, ReadOnlyMemory<long> codes, PatchGeometry geometry, CaptionBatch? captions)
    {
        using var noGrad = no_grad();
        Forget(); // the activations of a pass before this one are overwritten
        using var rows = captions is null ? null : new CaptionRows(_model, captions, withGradients: false);
        var state = new PassState(labels, codes, geometry, rows, GptDropout.None(_model.Config), Rotary(geometry, rows), Add: false);
        Hidden(state);
        return Head(state, 1, withGradients: false);
    }

    public void Backward(Action<string>? isDone)
    {
        using var noGrad = no_grad();
        var state = _state ?? throw new InvalidOperationException("Backward was called without a forward pass before it.");
        Clock.Start();
        var last = _blocks[^1];
        NormKernel<L>.Backward(
            state.Rows, _model.Config.Width, (T*)_shared.NormedGradient.Address, (float*)_final.Address, (float*)_finalInverse.Address, Norm.Address,
            (float*)_shared.ResidualGradient.Address, true,
            Norm.GradientAddress, (T*)_shared.BranchGradient.Address, BranchOf(last, state));
        Clock.Lap(StepPart.Norms);
        Tell(isDone, "output.", "norm."); // the forward pass formed the head's
        foreach (var block in _blocks.Reverse())
        {
            if (_recompute && block != last)
            {
                block.Forward(
                    state.Labels.Length, state.Tokens, null, default, state.Rotary, state.Dropout, state.Captions?.Firsts, OneKey(state),
                    isAgain: true);
            }

            block.Backward(state.Labels.Length, state.Tokens, state.Dropout, state.Add);
            Tell(isDone, $"layers.{block.Layer}.");
        }

        EmbeddingKernel<L>.Backward(
            state.Labels, state.Codes, state.Geometry, _model.Config.Width, _objective.FactorsOf(state.Geometry),
            state.Captions?.Gradients ?? ConditionRows.Classes(Classes!.GradientAddress), Codes.GradientAddress, state.Dropout.Tokens,
            (float*)_shared.ResidualGradient.Address);
        state.Captions?.Backward();
        Forget();
        Clock.Lap(StepPart.Embedding);
        Tell(isDone, "tok_embeddings.", "cls_embedding.");
    }

    public void Dispose()
    {
        Forget();
        Array.ForEach(_blocks, b =>
        {
            b.Dispose();
            b.Kept.Dispose();
        });
        _shared.Dispose();
        _head.Dispose();
        foreach (var activation in (Activation[])[_final, _finalNormed, _finalInverse, _logits, _predicting, _predictingGradient])
        {
            activation.Dispose();
        }

        foreach (var parameter in _parameters.Values)
        {
            parameter.Dispose();
        }
    }

    /// <summary>Null where captions condition the model.</summary>
    private FusedParameter? Classes => _parameters.GetValueOrDefault("cls_embedding.embedding_table.weight");

    private FusedParameter Codes => _parameters["tok_embeddings.weight"];

    private FusedParameter Norm => _parameters["norm.weight"];

    private static BranchDrop BranchOf(FusedGptBlock<T, L>? block, PassState state)
        => block is null ? default : state.Dropout.FeedForwardBranch(block.Layer);

    private static long ChunkRows(long vocabulary, long rows) => Math.Clamp(LogitsPerChunk / vocabulary, 1, rows);

    /// <summary>Condition rows that attention takes for one key.</summary>
    private int OneKey(PassState state) => _isPlain ? 1 : state.Captions?.Count ?? 1;

    private void Tell(Action<string>? isDone, params ReadOnlySpan<string> prefixes)
    {
        if (isDone is null)
        {
            return;
        }

        foreach (var prefix in prefixes)
        {
            foreach (var name in _parameters.Keys.Where(name => name.StartsWith(prefix, StringComparison.Ordinal)))
            {
                isDone(name);
            }
        }
    }

    /// <summary>Embedding, blocks and the last norm; leaves the hidden states in _finalNormed.</summary>
    private void Hidden(PassState state)
    {
        var (config, geometry) = (_model.Config, state.Geometry);
        Resize(state.Rows);
        Clock.Start();
        EmbeddingKernel<L>.Forward(
            state.Labels, state.Codes, geometry, config.Width, _objective.FactorsOf(geometry),
            state.Captions?.Rows ?? ConditionRows.Classes(Classes!.Address), Codes.Address, state.Dropout.Tokens,
            (float*)_blocks[0].Kept.Input.Address);
        Clock.Lap(StepPart.Embedding);
        FusedGptBlock<T, L>? before = null;
        foreach (var block in _blocks)
        {
            block.Forward(
                state.Labels.Length, state.Tokens, before is null ? null : (float*)before.Kept.Middle.Address, BranchOf(before, state),
                state.Rotary, state.Dropout, state.Captions?.Firsts, OneKey(state));
            before = block;
        }

        NormKernel<L>.Forward(
            state.Rows, config.Width, (float*)before!.Kept.Middle.Address, (T*)_shared.Branch.Address, BranchOf(before, state),
            (float*)_final.Address, Norm.Address, (float)config.NormEpsilon,
            (T*)_finalNormed.Address, (float*)_finalInverse.Address);
        Clock.Lap(StepPart.Norms);
    }

    private void Forget()
    {
        _state?.Captions?.Dispose();
        _state = null;
    }

    /// <summary>Gives every parameter its gradient where the step begins; gradients that kernels add to start at zero.</summary>
    /// <returns>Whether the step has gradients already.</returns>
    private bool AttachGradients()
    {
        var isFirst = false;
        foreach (var parameter in _parameters.Values)
        {
            var isAddedTo = parameter.Weight.dim() == 1 || parameter == Classes || parameter == Codes;
            isFirst |= parameter.Attach(clear: isAddedTo);
        }

        return !isFirst;
    }

    private void Resize(int rows)
    {
        Array.ForEach(_blocks, b => b.Kept.Resize(rows));
        _shared.Resize(rows);
        foreach (var activation in (Activation[])[_final, _finalNormed, _finalInverse])
        {
            activation.Resize(rows);
        }
    }

    private RotaryRows Rotary(PatchGeometry geometry, CaptionRows? captions)
    {
        var key = (geometry.PatchSide, captions?.Count ?? 1);
        if (!_rotary.TryGetValue(key, out var rows))
        {
            var config = _model.Config;
            var table = RotaryEmbedding2d.Table(geometry, _objective.Position, config.HeadWidth, key.Item2, config.RopeBase);
            _rotary[key] = rows = new RotaryRows(table, config.HeadWidth);
        }

        return rows;
    }

    /// <summary>What the backward pass must know of the forward pass.</summary>
    private sealed record PassState(
        ReadOnlyMemory<long> Labels, ReadOnlyMemory<long> Codes, PatchGeometry Geometry, CaptionRows? Captions, GptDropout Dropout, RotaryRows Rotary,
        bool Add)
    {
        /// <summary>Rows of an image, K + N - 1.</summary>
        public int Tokens => (Captions?.Count ?? 1) + Geometry.PatchCount - 1;

        public int Rows => Labels.Length * Tokens;

        /// <summary>The codes of each patch, [B N, P].</summary>
        public int[] Targets()
        {
            var (patches, members, codesPerImage) = (Geometry.PatchCount, Geometry.CodesPerPatch, Geometry.GridSide * Geometry.GridSide);
            var targets = new int[Labels.Length * patches * members];
            for (var i = 0; i < targets.Length; i++)
            {
                var row = i / members;
                targets[i] = (int)Codes.Span[(row / patches * codesPerImage) + Geometry.CodeIndex(row % patches, i % members)];
            }

            return targets;
        }
    }
}
