using NextPatch.Core;
using NextPatch.Core.Tensors;
using NextPatch.Text.Encoders;
using NextPatch.Torch.Loading;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Text;

// Shape letters: L tokens of a text, D width, H heads, W width of a head, F hidden width.

/// <summary>
/// The encoder of T5 written plainly on libtorch, in float32 whatever its weights are: what <see cref="T5Encoder"/> is held against. Each text is
/// encoded by itself.
/// </summary>
internal sealed class TorchT5Encoder : IT5Encoder
{
    private const double Epsilon = 1e-6;
    private const double MostDistance = 128;

    private readonly StoredTensor _embedding;
    private readonly Dictionary<string, Tensor> _weights;

    /// <param name="tensors">By the names of transformers; the embedding is read row by row, so it must stay open.</param>
    /// <param name="source">Named in errors.</param>
    /// <exception cref="DataFormatException">They are no T5 encoder's, or do not fit each other.</exception>
    /// <exception cref="NextPatchException">libtorch does not load.</exception>
    public TorchT5Encoder(IReadOnlyDictionary<string, StoredTensor> tensors, string source)
    {
        NativeBackend.EnsureLoaded();
        Config = T5Config.From(tensors, source);
        _embedding = T5Config.EmbeddingOf(tensors).As(ElementType.Float32);
        _weights = Config.Shapes().Keys.ToDictionary(
            name => name, name => StateLoader.ToTensor(tensors[name].As(ElementType.Float32).Read()).DetachFromDisposeScope());
    }

    /// <inheritdoc/>
    public T5Config Config { get; }

    /// <inheritdoc/>
    public string Engine => "torch";

    /// <inheritdoc/>
    public float[] Encode(IReadOnlyList<int[]> texts, CancellationToken cancellation = default)
        => [.. texts.Where(text => text.Length > 0).SelectMany(text => Encode(text, cancellation))];

    public void Dispose()
    {
        foreach (var tensor in _weights.Values)
        {
            tensor.Dispose();
        }
    }

    private float[] Encode(int[] text, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var rows = new float[text.Length * Config.Width];
        Config.Embed(_embedding, [text], rows);
        var x = tensor(rows, [text.Length, Config.Width]);                                               // [L, D]
        var bias = Bias(text.Length);
        for (var i = 0; i < Config.LayerCount; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            x = x + Attention(i, Norm(x, T5Config.AttentionNorm(i)), bias);
            x = x + FeedForward(i, Norm(x, T5Config.FfnNorm(i)));
        }

        return T5Config.Finite(Norm(x, T5Config.FinalNorm).data<float>().ToArray());
    }

    /// <summary>What is added to scores, by the distance from query to key: half of the buckets for keys behind the query; of each half the near
    /// distances singly, the others by logarithm.</summary>
    /// <returns>float [H, L, L].</returns>
    private Tensor Bias(int length)
    {
        var (half, exact) = (Config.BucketCount / 2, Config.BucketCount / 4);
        var distance = arange(length).unsqueeze(0) - arange(length).unsqueeze(1);                        // [L, L], key - query
        var size = distance.abs();
        var far = (size.clamp(min: 1).to_type(ScalarType.Float32) / exact).log() / Math.Log(MostDistance / exact) * (half - exact);
        var bucket = where(size.lt(exact), size, (far.to_type(ScalarType.Int64) + exact).clamp(max: half - 1))
            + (distance.gt(0).to_type(ScalarType.Int64) * half);
        return _weights[T5Config.Bias].index_select(0, bucket.reshape(-1)).reshape(length, length, Config.HeadCount).permute(2, 0, 1);
    }

    /// <summary>Attention in both directions, not divided by the root of the head's width.</summary>
    private Tensor Attention(int layer, Tensor x, Tensor bias)
    {
        Tensor Heads(char part)
            => Map(x, T5Config.Attention(layer, part)).reshape(-1, Config.HeadCount, Config.HeadWidth).transpose(0, 1); // [H, L, W]

        var weights = (Heads('q').matmul(Heads('k').transpose(1, 2)) + bias).softmax(-1);                // [H, L, L]
        return Map(weights.matmul(Heads('v')).transpose(0, 1).reshape(-1, Config.InnerWidth), T5Config.Attention(layer, 'o'));
    }

    private Tensor FeedForward(int layer, Tensor x)
    {
        if (!Config.IsGated)
        {
            return Map(Map(x, T5Config.Ffn(layer, "wi")).relu(), T5Config.Ffn(layer, "wo"));
        }

        // GELU by its tanh formula: 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
        var hidden = Map(x, T5Config.Ffn(layer, "wi_0"));                                                // [L, F]
        var gelu = hidden * 0.5 * (((hidden + (hidden.pow(3) * 0.044715)) * Math.Sqrt(2 / Math.PI)).tanh() + 1);
        return Map(gelu * Map(x, T5Config.Ffn(layer, "wi_1")), T5Config.Ffn(layer, "wo"));
    }

    private Tensor Map(Tensor x, string name) => functional.linear(x, _weights[name]);

    /// <summary>T5's norm: no mean is taken away and nothing added.</summary>
    private Tensor Norm(Tensor x, string name) => x * (x.square().mean([-1], keepdim: true) + Epsilon).rsqrt() * _weights[name];
}
