using System.Runtime.InteropServices;
using NextPatch.Core;
using NextPatch.Core.Tensors;
using NextPatch.Kernels.Threading;

namespace NextPatch.Text.Encoders;

// Shape letters: R tokens of all texts, D width, I width of all heads, F hidden width.

/// <summary>The encoder of T5 (arXiv 1910.10683): token ids in, a row of numbers per token out. Computes in float32, on all cores.</summary>
/// <remarks>
/// Texts lie one behind the other without padding, so that a text's features do not depend on what it is encoded with. Attention is not divided by
/// the root of the head's width; the bias table of block 0 serves all blocks. One caller at a time.
/// </remarks>
internal sealed unsafe class T5Encoder : IT5Encoder
{
    private const float Epsilon = 1e-6f;

    private readonly StoredTensor _embedding;
    private readonly float[] _bias;
    private readonly float[] _finalNorm;
    private readonly Block[] _blocks;

    /// <param name="tensors">By the names of transformers; the embedding is read row by row, so it must stay open.</param>
    /// <param name="source">Named in errors.</param>
    /// <exception cref="DataFormatException">They are no T5 encoder's, or do not fit each other.</exception>
    public T5Encoder(IReadOnlyDictionary<string, StoredTensor> tensors, string source)
    {
        Config = T5Config.From(tensors, source);
        _embedding = T5Config.EmbeddingOf(tensors).As(ElementType.Float32);
        (_bias, _finalNorm) = (Vector(tensors[T5Config.Bias]), Vector(tensors[T5Config.FinalNorm]));
        _blocks = [.. Enumerable.Range(0, Config.LayerCount).Select(i => new Block(
            Vector(tensors[T5Config.AttentionNorm(i)]),
            [.. "qkv".Select(part => new T5Matrix(tensors[T5Config.Attention(i, part)]))],
            new T5Matrix(tensors[T5Config.Attention(i, 'o')]),
            Vector(tensors[T5Config.FfnNorm(i)]),
            new T5Matrix(tensors[T5Config.Ffn(i, Config.IsGated ? "wi_0" : "wi")]),
            Config.IsGated ? new T5Matrix(tensors[T5Config.Ffn(i, "wi_1")]) : null,
            new T5Matrix(tensors[T5Config.Ffn(i, "wo")])))];
    }

    /// <inheritdoc/>
    public T5Config Config { get; }

    /// <inheritdoc/>
    public string Engine => "cpu";

    /// <inheritdoc/>
    public float[] Encode(IReadOnlyList<int[]> texts, CancellationToken cancellation = default)
    {
        var starts = new int[texts.Count + 1];
        for (var i = 0; i < texts.Count; i++)
        {
            starts[i + 1] = starts[i] + texts[i].Length;
        }

        var rows = starts[^1];
        if (rows == 0)
        {
            return []; // lines without a caption have no tokens
        }

        float[] stream = Rows(rows, Config.Width), normed = Rows(rows, Config.Width), joined = Rows(rows, Config.InnerWidth);
        float[][] parts = [Rows(rows, Config.InnerWidth), Rows(rows, Config.InnerWidth), Rows(rows, Config.InnerWidth)];
        float[] hidden = Rows(rows, Config.FfnWidth), gate = Rows(_blocks[0].Up is null ? 0 : rows, Config.FfnWidth);
        Config.Embed(_embedding, texts, stream);
        foreach (var block in _blocks)
        {
            cancellation.ThrowIfCancellationRequested();
            Norm(rows, stream, block.AttentionNorm, normed);
            for (var i = 0; i < parts.Length; i++)
            {
                block.Attention[i].Multiply(rows, At(normed), At(parts[i]), add: false); // [R, I]
            }

            T5Attention.Run(Config, starts, parts[0], parts[1], parts[2], _bias, joined);
            block.Output.Multiply(rows, At(joined), At(stream), add: true); // [R, D]

            Norm(rows, stream, block.FfnNorm, normed);
            block.Gate.Multiply(rows, At(normed), At(hidden), add: false); // [R, F]
            block.Up?.Multiply(rows, At(normed), At(gate), add: false);
            Activate(rows, hidden, gate);
            block.Down.Multiply(rows, At(hidden), At(stream), add: true); // [R, D]
        }

        Norm(rows, stream, _finalNorm, normed);
        return T5Config.Finite(normed);
    }

    public void Dispose()
    {
    }

    /// <summary>T5's norm: no mean is taken away and nothing added.</summary>
    private static void Norm(int rows, float[] x, float[] weight, float[] normed) => ParallelRows.Run(rows, weight.Length, (first, end) =>
    {
        for (var row = first; row < end; row++)
        {
            ReadOnlySpan<float> from = x.AsSpan(row * weight.Length, weight.Length);
            var to = normed.AsSpan(row * weight.Length, weight.Length);
            var squares = 0.0;
            foreach (var value in from)
            {
                squares += (double)value * value;
            }

            var factor = 1 / MathF.Sqrt((float)(squares / from.Length) + Epsilon);
            for (var i = 0; i < to.Length; i++)
            {
                to[i] = from[i] * factor * weight[i];
            }
        }
    });

    /// <summary>hidden = gelu(hidden) * gate with the tanh form of GELU, or relu(hidden).</summary>
    private void Activate(int rows, float[] hidden, float[] gate) => ParallelRows.Run(rows, 8L * Config.FfnWidth, (first, end) =>
    {
        for (var i = first * Config.FfnWidth; i < end * Config.FfnWidth; i++)
        {
            var x = hidden[i];
            hidden[i] = Config.IsGated ? 0.5f * x * (1 + MathF.Tanh(0.7978845608f * (x + (0.044715f * x * x * x)))) * gate[i] : MathF.Max(x, 0);
        }
    });

    /// <summary>Pinned, so that products may point into it.</summary>
    private static float[] Rows(int rows, int width) => GC.AllocateUninitializedArray<float>(checked(rows * width), pinned: true);

    private static float* At(float[] values) => (float*)Marshal.UnsafeAddrOfPinnedArrayElement(values, 0);

    private static float[] Vector(StoredTensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.As(ElementType.Float32).Read().Bytes.Span).ToArray();

    private sealed record Block(
        float[] AttentionNorm, T5Matrix[] Attention, T5Matrix Output, float[] FfnNorm, T5Matrix Gate, T5Matrix? Up, T5Matrix Down);
}
