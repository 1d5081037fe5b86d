using NextPatch.Core;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Perception;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Evaluation.Clip;

// Shape letters used in this file: B images or texts, S side of images, P side of a patch, N patches of an image, L tokens of a text, C width of a
// tower, E width of the joint space.

/// <summary>CLIP with a vision transformer (Radford et al., arXiv 2103.00020): images and texts as points of one space. One thread at a
/// time.</summary>
internal sealed class ClipNetwork : IDisposable
{
    /// <summary>What messages call it.</summary>
    public const string Known = "CLIP with a vision transformer, such as ViT-B/32";

    private readonly ClipTower _images;
    private readonly ClipTower _texts;
    private readonly Tensor _patches;        // [C, 3 P P]
    private readonly Tensor _classToken;     // [C]
    private readonly Tensor _imagePositions; // [1 + N, C]
    private readonly Tensor _tokens;         // [V, C]
    private readonly Tensor _textPositions;  // [L, C]
    private readonly (Tensor Weight, Tensor Bias) _before, _after, _last;
    private readonly Tensor _imageProjection, _textProjection; // [E, C]
    private readonly int _patchSide;

    /// <param name="weights">Of OpenAI, open_clip or transformers, in any floating-point type.</param>
    /// <exception cref="DataFormatException">They are no such network's.</exception>
    public ClipNetwork(PretrainedWeights weights)
    {
        NativeBackend.EnsureLoaded();
        var names = new ClipNames(weights);
        const string Patches = "visual.conv1.weight", HfPatches = "vision_model.embeddings.patch_embedding.weight";
        if (names.Shape(Patches, HfPatches) is not [var wide, 3, var patch, _]
            || names.Shape("positional_embedding", "text_model.embeddings.position_embedding.weight") is not [var length, var narrow]
            || names.Shape("token_embedding.weight", "text_model.embeddings.token_embedding.weight") is not [var vocabulary, _]
            || names.Shape("visual.positional_embedding", "vision_model.embeddings.position_embedding.weight") is not [> 1 and var places, _]
            || (int)Math.Sqrt(places - 1) is var grid && (long)grid * grid != places - 1)
        {
            throw weights.Mismatch($"its patches, positions or tokens are of other shapes than those of {Known}");
        }

        checked
        {
            (_patchSide, Side, Length, Vocabulary) = ((int)patch, (int)(grid * patch), (int)length, (int)vocabulary);
        }

        var joint = names.JointWidth;
        _images = new ClipTower(weights, names, isImage: true, (int)wide);
        try
        {
            _texts = new ClipTower(weights, names, isImage: false, (int)narrow);
            _patches = _images.Own(names.Take(Patches, HfPatches, wide, 3, patch, patch), wide, 3 * patch * patch);
            _classToken = _images.Own(names.Take("visual.class_embedding", "vision_model.embeddings.class_embedding", wide), wide);
            _imagePositions = _images.Own(
                names.Take("visual.positional_embedding", "vision_model.embeddings.position_embedding.weight", places, wide), places, wide);
            _before = _images.TakeNorm(weights, weights.Has("visual.ln_pre.weight") ? "visual.ln_pre" : "vision_model.pre_layrnorm");
            _after = _images.TakeNorm(weights, weights.Has("visual.ln_post.weight") ? "visual.ln_post" : "vision_model.post_layernorm");
            _imageProjection = _images.Own(names.Projection(isImage: true, wide, joint), joint, wide);
            _tokens = _texts.Own(
                names.Take("token_embedding.weight", "text_model.embeddings.token_embedding.weight", vocabulary, narrow), vocabulary, narrow);
            _textPositions = _texts.Own(
                names.Take("positional_embedding", "text_model.embeddings.position_embedding.weight", length, narrow), length, narrow);
            _last = _texts.TakeNorm(weights, weights.Has("ln_final.weight") ? "ln_final" : "text_model.final_layer_norm");
            _textProjection = _texts.Own(names.Projection(isImage: false, narrow, joint), joint, narrow);
            weights.ExpectNoOthers(key => key is "logit_scale" or "input_resolution" or "context_length" or "vocab_size"
                || key.EndsWith("position_ids", StringComparison.Ordinal));
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>S.</summary>
    public int Side { get; }

    /// <summary>L.</summary>
    public int Length { get; }

    /// <summary>Rows of the embedding of tokens.</summary>
    public int Vocabulary { get; }

    /// <param name="planes">[B, 3, S, S], normalised.</param>
    /// <returns>[B, E].</returns>
    public float[] EncodeImages(float[] planes)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        var (batch, grid) = (planes.Length / (3 * Side * Side), Side / _patchSide);
        var patches = tensor(planes, [batch, 3, grid, _patchSide, grid, _patchSide]).permute(0, 2, 4, 1, 3, 5)
            .reshape(batch, grid * grid, 3 * _patchSide * _patchSide).matmul(_patches.t());                      // [B, N, C]
        var all = cat([_classToken.expand(batch, 1, -1), patches], 1) + _imagePositions;                         // [B, 1 + N, C]
        var first = _images.Run(_images.Norm(all, _before)).select(1, 0);                                        // [B, C]
        return functional.linear(_images.Norm(first, _after), _imageProjection).data<float>().ToArray();
    }

    /// <param name="ids">[B, L]; a text's point is taken where its largest id stands, the end's.</param>
    /// <returns>[B, E].</returns>
    public float[] EncodeTexts(int[] ids)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        var batch = ids.Length / Length;
        var tokens = _tokens.index_select(0, tensor(Array.ConvertAll(ids, id => (long)id))).view(batch, Length, -1) + _textPositions; // [B, L, C]
        var all = _texts.Norm(_texts.Run(tokens), _last);
        long[] places = [.. Enumerable.Range(0, batch).Select(i => (long)(i * Length) + IndexOfMax(ids.AsSpan(i * Length, Length)))];
        var taken = all.view(batch * Length, -1).index_select(0, tensor(places));                                // [B, C]
        return functional.linear(taken, _textProjection).data<float>().ToArray();
    }

    public void Dispose()
    {
        _images.Dispose();
        _texts?.Dispose();
    }

    private static int IndexOfMax(ReadOnlySpan<int> ids)
    {
        var most = 0;
        for (var i = 1; i < ids.Length; i++)
        {
            most = ids[i] > ids[most] ? i : most;
        }

        return most;
    }
}
