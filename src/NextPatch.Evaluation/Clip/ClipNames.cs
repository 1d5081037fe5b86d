using System.Globalization;
using NextPatch.Torch.Perception;

namespace NextPatch.Evaluation.Clip;

// Shape letters used in this file: C width of a tower, E width of the joint space.

/// <summary>What the weights of a CLIP model are called: as OpenAI's (also open_clip's), or as those of Hugging Face's transformers.</summary>
/// <param name="weights">Tensors by name.</param>
internal sealed class ClipNames(PretrainedWeights weights)
{
    private readonly bool _isPublished = weights.Has("visual.class_embedding");

    /// <summary>Begins of the names of the image tower, or of the text tower.</summary>
    private string Tower(bool isImage) => _isPublished ? isImage ? "visual." : "" : isImage ? "vision_model." : "text_model.";

    public IReadOnlyList<long> Shape(string published, string transformers) => weights.ShapeOf(_isPublished ? published : transformers);

    public float[] Take(string published, string transformers, params ReadOnlySpan<long> shape)
        => weights.Take(_isPublished ? published : transformers, shape);

    /// <summary>Blocks of a tower.</summary>
    public int Layers(bool isImage) => Enumerable.Range(0, 1000).TakeWhile(i => weights.Has(Norm(isImage, i, 1) + ".weight")).Count();

    public string Norm(bool isImage, int layer, int number) => Block(isImage, layer) + (_isPublished ? $"ln_{number}" : $"layer_norm{number}");

    /// <summary>Hidden (<c>c_fc</c>, <c>fc1</c>) or output product (<c>c_proj</c>, <c>fc2</c>) of the feed-forward part.</summary>
    public string Ffn(bool isImage, int layer, bool isHidden)
        => Block(isImage, layer) + (_isPublished ? $"mlp.c_{(isHidden ? "fc" : "proj")}" : $"mlp.fc{(isHidden ? 1 : 2)}");

    public string AttentionOutput(bool isImage, int layer) => Block(isImage, layer) + (_isPublished ? "attn.out_proj" : "self_attn.out_proj");

    /// <summary>Weight [3 C, C] and bias [3 C] of queries, keys and values, one below the other.</summary>
    public (float[] Weight, float[] Bias) Qkv(bool isImage, int layer, long width)
    {
        var block = Block(isImage, layer);
        if (_isPublished)
        {
            return (weights.Take(block + "attn.in_proj_weight", 3 * width, width), weights.Take(block + "attn.in_proj_bias", 3 * width));
        }

        string[] parts = ["q", "k", "v"];
        return ([.. parts.SelectMany(part => weights.Take($"{block}self_attn.{part}_proj.weight", width, width))],
            [.. parts.SelectMany(part => weights.Take($"{block}self_attn.{part}_proj.bias", width))]);
    }

    /// <summary>The product into the joint space, [E, C]; the published files keep it the other way round.</summary>
    public float[] Projection(bool isImage, long width, long joint)
    {
        if (!_isPublished)
        {
            return weights.Take(isImage ? "visual_projection.weight" : "text_projection.weight", joint, width);
        }

        var stored = weights.Take(isImage ? "visual.proj" : "text_projection", width, joint);
        var turned = new float[stored.Length];
        for (var i = 0; i < stored.Length; i++)
        {
            turned[((i % joint) * width) + (i / joint)] = stored[i];
        }

        return turned;
    }

    /// <summary>E.</summary>
    public long JointWidth => _isPublished ? weights.ShapeOf("text_projection")[^1] : weights.ShapeOf("text_projection.weight")[0];

    private string Block(bool isImage, int layer) => string.Create(
        CultureInfo.InvariantCulture, $"{Tower(isImage)}{(_isPublished ? "transformer.resblocks" : "encoder.layers")}.{layer}.");
}
