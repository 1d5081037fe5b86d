using NextPatch.Core.Configuration;
using NextPatch.Core.Tensors;
using NextPatch.Cpu.Memory;
using NextPatch.Kernels.Elementwise;
using NextPatch.Kernels.Gemm;
using NextPatch.Kernels.Simd;

namespace NextPatch.Cpu.Gpt;

// Shape letters: C width, V vocabulary, F width of the feed-forward part.

/// <summary>All weights of a transformer, laid out for generation in one piece of memory.</summary>
/// <typeparam name="T">The weights of products.</typeparam>
/// <typeparam name="TStored">Embeddings.</typeparam>
internal sealed unsafe class GptWeights<T, TStored> : IDisposable
    where T : unmanaged, ILoadable<T>
    where TStored : unmanaged, IElement<TStored>
{
    private const int RowsAtOnce = 1024;

    private readonly AlignedMemory _memory;

    /// <param name="config">The model.</param>
    /// <param name="tensors">By state key, shapes as <see cref="GptState"/> demands.</param>
    public GptWeights(GptConfig config, IReadOnlyDictionary<string, StoredTensor> tensors)
    {
        _memory = new AlignedMemory(Room(config));
        Classes = Table(tensors[GptState.Classes]);
        Codes = Table(tensors[GptState.Codes]);
        Layers = new GptLayer<T>[config.LayerCount];
        for (var i = 0; i < Layers.Length; i++)
        {
            Layers[i] = new GptLayer<T>
            {
                AttentionNorm = Norm(tensors[GptState.AttentionNorm(i)]),
                Qkv = PackedMatrix<T>.Pack([tensors[GptState.Qkv(i)]], _memory),
                Output = PackedMatrix<T>.Pack([tensors[GptState.AttentionOutput(i)]], _memory),
                FeedForwardNorm = Norm(tensors[GptState.FeedForwardNorm(i)]),
                GateUp = PackedMatrix<T>.Pack([tensors[GptState.Gate(i)], tensors[GptState.Up(i)]], _memory),
                Down = PackedMatrix<T>.Pack([tensors[GptState.Down(i)]], _memory),
            };
        }

        FinalNorm = Norm(tensors[GptState.FinalNorm]);
        Head = PackedMatrix<T>.Pack([tensors[GptState.Head]], _memory);
    }

    /// <summary>[classes, C].</summary>
    public TStored* Classes { get; }

    /// <summary>[V, C].</summary>
    public TStored* Codes { get; }

    public GptLayer<T>[] Layers { get; }

    /// <summary>[padded C].</summary>
    public float* FinalNorm { get; }

    /// <summary>[V, C].</summary>
    public PackedMatrix<T> Head { get; }

    public void Dispose() => _memory.Dispose();

    private static nint Room(GptConfig config)
    {
        var norm = AlignedMemory.Room<float>(RowKernel<Simd1>.Padded(config.Width));
        var layer = (2 * norm) + Matrix(config.QkvWidth, config.Width) + Matrix(config.Width, config.HeadCount * config.HeadWidth)
            + PackedMatrix<T>.Room((config.FfnWidth + PanelLayout.Columns - 1) / PanelLayout.Columns, config.Width)
                + Matrix(config.Width, config.FfnWidth);
        return AlignedMemory.Room<TStored>((nint)config.ClassRows * config.Width) + AlignedMemory
            .Room<TStored>((nint)config.VocabularySize * config.Width)
            + (layer * config.LayerCount) + norm + Matrix(config.VocabularySize, config.Width);
    }

    private static nint Matrix(int outputs, int depth) => PackedMatrix<T>.Room(PanelLayout.Units(outputs), depth);

    private TStored* Table(StoredTensor source)
    {
        var (rows, width) = (source.Shape[0], source.Shape[1]);
        var table = _memory.Take<TStored>((nint)source.Count);
        var type = typeof(TStored) == typeof(Fp32) ? ElementType.Float32 : ElementType.BFloat16;
        for (var row = 0L; row < rows; row += RowsAtOnce) // a table may be longer than a span
        {
            var bytes = (int)(Math.Min(RowsAtOnce, rows - row) * width * sizeof(TStored));
            source.As(type).CopyTo(row * width * sizeof(TStored), new Span<byte>(table + (row * width), bytes));
        }

        return table;
    }

    private float* Norm(StoredTensor source)
    {
        var width = (int)source.Count;
        var norm = _memory.Take<float>(RowKernel<Simd1>.Padded(width));
        source.As(ElementType.Float32).CopyTo(0, new Span<byte>(norm, width * sizeof(float)));
        return norm;
    }
}
