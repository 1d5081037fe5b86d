using System.Globalization;
using System.Runtime.InteropServices;
using NextPatch.Core;
using NextPatch.Core.Tensors;

namespace NextPatch.Text.Encoders;

/// <summary>The shape of a T5 encoder, read off its weights, and their names.</summary>
/// <param name="VocabularySize">Rows of the embedding.</param>
/// <param name="Width">Numbers per token.</param>
/// <param name="LayerCount">Blocks.</param>
/// <param name="HeadCount">Heads of attention; their width need not divide <paramref name="Width"/>.</param>
/// <param name="HeadWidth">Numbers per head.</param>
/// <param name="FfnWidth">Hidden numbers of the feed-forward part.</param>
/// <param name="BucketCount">Distances that the bias tells apart, both directions.</param>
/// <param name="IsGated">Gated GELU (v1.1, flan), else ReLU (v1.0).</param>
internal sealed record T5Config(
    int VocabularySize, int Width, int LayerCount, int HeadCount, int HeadWidth, int FfnWidth, int BucketCount, bool IsGated)
{
    public const string Embedding = "shared.weight";
    public const string FinalNorm = "encoder.final_layer_norm.weight";
    public const string Bias = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight";

    // Some files name the same table so.
    private const string OtherEmbedding = "encoder.embed_tokens.weight";
    private const int MostLayers = 1000;

    /// <summary>Numbers of all heads.</summary>
    public int InnerWidth => HeadCount * HeadWidth;

    public static string Attention(int layer, char part) => Block(layer, $"0.SelfAttention.{part}.weight");

    public static string AttentionNorm(int layer) => Block(layer, "0.layer_norm.weight");

    public static string FfnNorm(int layer) => Block(layer, "1.layer_norm.weight");

    /// <param name="layer">Which block.</param>
    /// <param name="part">wi (ReLU), wi_0 (GELU) and wi_1, wo.</param>
    public static string Ffn(int layer, string part) => Block(layer, $"1.DenseReluDense.{part}.weight");

    /// <summary>The embedding, by either of its names.</summary>
    public static StoredTensor EmbeddingOf(IReadOnlyDictionary<string, StoredTensor> tensors)
        => tensors.GetValueOrDefault(Embedding) ?? tensors[OtherEmbedding];

    /// <summary>The shape that weights have; a decoder's among them do not matter.</summary>
    /// <param name="tensors">By the names of transformers.</param>
    /// <param name="source">Named in errors.</param>
    /// <exception cref="DataFormatException">They are no T5 encoder's, or do not fit each other.</exception>
    public static T5Config From(IReadOnlyDictionary<string, StoredTensor> tensors, string source)
    {
        var embedding = tensors.GetValueOrDefault(Embedding) ?? tensors.GetValueOrDefault(OtherEmbedding);
        if (embedding is not { Shape: [_, > 0] } || tensors.GetValueOrDefault(Bias) is not { Shape: [> 0, > 0] } bias
            || tensors.GetValueOrDefault(Attention(0, 'q')) is not { Shape: [> 0, _] } query || query.Shape[0] % bias.Shape[1] != 0)
        {
            throw new DataFormatException(
                $"'{source}' holds no T5 encoder: '{Embedding}' [tokens, width], '{Bias}' [buckets, heads] and '{Attention(0, 'q')}' are needed. "
                    + $"It has "
                + $"{tensors.Count} tensors{(tensors.Count > 0 ? $", such as {StoredFile.Quote(tensors.Keys.First())}" : "")}.");
        }

        var isGated = tensors.ContainsKey(Ffn(0, "wi_0"));
        var layers = Enumerable.Range(0, MostLayers).TakeWhile(i => tensors.ContainsKey(Attention(i, 'q'))).Count();
        var hidden = tensors.GetValueOrDefault(Ffn(0, isGated ? "wi_0" : "wi")) is { Shape: [var rows, _] } ? rows : 0;
        checked
        {
            var config = new T5Config(
                (int)embedding.Shape[0], (int)embedding.Shape[1], layers, (int)bias.Shape[1], (int)(query.Shape[0] / bias.Shape[1]), (int)hidden,
                (int)bias.Shape[0], isGated);
            config.Check(tensors, source);
            return config;
        }
    }

    /// <summary>Looks up the rows of tokens.</summary>
    /// <param name="embedding">In float32; read row by row.</param>
    /// <param name="texts">Token ids.</param>
    /// <param name="rows">Receives [R, D].</param>
    /// <exception cref="NextPatchException">An id lies beyond the vocabulary.</exception>
    public void Embed(StoredTensor embedding, IEnumerable<int[]> texts, Span<float> rows)
    {
        foreach (var (row, id) in texts.SelectMany(ids => ids).Index())
        {
            if ((uint)id >= (uint)VocabularySize)
            {
                throw new NextPatchException(
                    $"Token {id} lies beyond the encoder's {VocabularySize} rows; the SentencePiece model belongs to another encoder.");
            }

            embedding.CopyTo((long)id * Width * sizeof(float), MemoryMarshal.AsBytes(rows.Slice(row * Width, Width)));
        }
    }

    /// <summary>The same features, when all are numbers.</summary>
    /// <exception cref="NextPatchException">They are not.</exception>
    public static float[] Finite(float[] features) => Array.TrueForAll(features, float.IsFinite) ? features : throw new NextPatchException(
        "The text encoder gives numbers that are not finite; its weights are damaged. Fetch them again.");

    /// <summary>Shapes by name, the embedding aside.</summary>
    public Dictionary<string, long[]> Shapes()
    {
        var shapes = new Dictionary<string, long[]> { [FinalNorm] = [Width], [Bias] = [BucketCount, HeadCount] };
        for (var i = 0; i < LayerCount; i++)
        {
            foreach (var part in "qkv")
            {
                shapes[Attention(i, part)] = [InnerWidth, Width];
            }

            shapes[Attention(i, 'o')] = [Width, InnerWidth];
            shapes[AttentionNorm(i)] = shapes[FfnNorm(i)] = [Width];
            foreach (var part in IsGated ? (string[])["wi_0", "wi_1"] : ["wi"])
            {
                shapes[Ffn(i, part)] = [FfnWidth, Width];
            }

            shapes[Ffn(i, "wo")] = [Width, FfnWidth];
        }

        return shapes;
    }

    private void Check(IReadOnlyDictionary<string, StoredTensor> tensors, string source)
    {
        foreach (var (name, shape) in Shapes())
        {
            if (tensors.GetValueOrDefault(name) is not { } tensor)
            {
                throw new DataFormatException($"'{source}' lacks '{name}' of a T5 encoder with {LayerCount} blocks of width {Width}.");
            }

            if (!tensor.Shape.SequenceEqual(shape) || !tensor.Type.IsFloating())
            {
                throw new DataFormatException(
                    $"'{name}' in '{source}' is {tensor} but the other weights, a T5 encoder of width {Width}, need real numbers "
                    + $"{HostTensor.Describe(shape)}.");
            }
        }
    }

    private static string Block(int layer, string rest) => string.Create(CultureInfo.InvariantCulture, $"encoder.block.{layer}.layer.{rest}");
}
