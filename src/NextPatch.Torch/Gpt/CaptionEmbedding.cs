using NextPatch.Core.Configuration;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Gpt;

// Shape letters: B batch, K condition rows, W numbers per caption token, C width.

/// <summary>The condition rows of a caption: its encoder's features through two linear maps, float [B, K, W] -> [B, K, C].</summary>
/// <remarks>Caption dropout happens where batches are made, as label dropout does: all rows become <see cref="Unconditional"/>.</remarks>
internal sealed class CaptionEmbedding : Module<Tensor, Tensor>
{
    [ComponentName(Name = "cap_proj")] private readonly CaptionProjection _projection;
    [ComponentName(Name = "uncond_embedding")] private readonly Tensor _unconditional;

    public CaptionEmbedding(GptConfig config, TextCondition text)
        : base(nameof(CaptionEmbedding))
    {
        _projection = new CaptionProjection(text.FeatureWidth, config.Width);
        _unconditional = empty(text.TokenCount, text.FeatureWidth).DetachFromDisposeScope();
        RegisterComponents();
    }

    /// <summary>The features that stand for no caption, float [K, W]: drawn once and never trained, but guidance needs these very numbers.</summary>
    public Tensor Unconditional => get_buffer("uncond_embedding")!;

    public override Tensor forward(Tensor features) => _projection.forward(features);

    private sealed class CaptionProjection : Module<Tensor, Tensor>
    {
        [ComponentName(Name = "fc1")] private readonly Projection _in;
        [ComponentName(Name = "fc2")] private readonly Projection _out;

        public CaptionProjection(long features, long width)
            : base(nameof(CaptionProjection))
        {
            (_in, _out) = (new Projection(features, width), new Projection(width, width));
            RegisterComponents();
        }

        public override Tensor forward(Tensor features)
        {
            using var scope = NewDisposeScope();
            var hidden = _in.forward(features);                        // [B, K, C]
            // GELU by its tanh formula, as published: 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
            var gate = hidden.pow(3).mul(0.044715).add(hidden).mul(Math.Sqrt(2 / Math.PI)).tanh().add(1);
            return _out.forward(hidden.mul(gate).mul(0.5)).MoveToOuterDisposeScope();
        }
    }
}
