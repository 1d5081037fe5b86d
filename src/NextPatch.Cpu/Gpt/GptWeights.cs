using NextPatch.Core.Configuration;
using NextPatch.Core.Tensors;
using NextPatch.Cpu.Memory;
using NextPatch.Kernels.Elementwise;
using NextPatch.Kernels.Simd;

namespace NextPatch.Cpu.Gpt;

// Shape letters: C width, V vocabulary, F width of the feed-forward part.

/// <summary>
/// All weights of a transformer: laid out for generation in one piece of memory, but what lies in a mapped file as it is used stays there.
/// </summary>
/// <typeparam name="T">The weights of products.</typeparam>
/// <typeparam name="TStored">Embeddings.</typeparam>
internal sealed unsafe class GptWeights<T, TStored> : IDisposable
    where T : unmanaged
    where TStored : unmanaged, IElement<TStored>
{
    private const int RowsAtOnce = 1024;

    private readonly AlignedMemory _memory;
    private readonly List<IDisposable> _held = [];
    private readonly Dictionary<string, HeldBytes> _tables = [];
    private readonly Dictionary<string, PackedMatrix<T>> _matrices = [];

    /// <param name="config">The model.</param>
    /// <param name="tensors">By state key, shapes as <see cref="GptState"/> demands.</param>
    public GptWeights(GptConfig config, IReadOnlyDictionary<string, StoredTensor> tensors)
    {
        foreach (var (name, tensor) in tensors.Where(t => !IsOfCaptions(t.Key)))
        {
            if (IsTable(name))
            {
                if (tensor.Type == StoredType && tensor.Hold() is { } held)
                {
                    _held.Add(_tables[name] = held);
                }
            }
            else if (tensor.Shape.Count == 2 && PackedMatrix<T>.InPlace(tensor, _held) is { } matrix)
            {
                _matrices[name] = matrix;
            }
        }

        _memory = new AlignedMemory((nint)tensors.Sum(t => Room(t.Key, t.Value)));
        Classes = config.Text is null ? Table(tensors, GptState.Classes) : null;
        Codes = Table(tensors, GptState.Codes);
        Layers = new GptLayer<T>[config.LayerCount];
        for (var i = 0; i < Layers.Length; i++)
        {
            Layers[i] = new GptLayer<T>
            {
                AttentionNorm = Norm(tensors[GptState.AttentionNorm(i)]),
                Qkv = Matrix(tensors, GptState.Qkv(i)),
                Output = Matrix(tensors, GptState.AttentionOutput(i)),
                FeedForwardNorm = Norm(tensors[GptState.FeedForwardNorm(i)]),
                GateUp = PackedMatrix<T>.Pair(Matrix(tensors, GptState.Gate(i)), Matrix(tensors, GptState.Up(i))),
                Down = Matrix(tensors, GptState.Down(i)),
            };
        }

        FinalNorm = Norm(tensors[GptState.FinalNorm]);
        Head = Matrix(tensors, GptState.Head);
    }

    /// <summary>[classes, C]; null where captions condition the model.</summary>
    public TStored* Classes { get; }

    /// <summary>[V, C].</summary>
    public TStored* Codes { get; }

    public GptLayer<T>[] Layers { get; }

    /// <summary>[padded C].</summary>
    public float* FinalNorm { get; }

    /// <summary>[V, C].</summary>
    public PackedMatrix<T> Head { get; }

    private static ElementType StoredType => typeof(TStored) == typeof(Fp32) ? ElementType.Float32 : ElementType.BFloat16;

    public void Dispose()
    {
        _memory.Dispose();
        _held.ForEach(held => held.Dispose());
    }

    /// <summary>What <see cref="CaptionEmbedder{L}"/> keeps.</summary>
    private static bool IsOfCaptions(string name) => name is GptState.CaptionIn or GptState.CaptionOut or GptState.Unconditional;

    private static bool IsTable(string name) => name is GptState.Classes or GptState.Codes;

    /// <summary>Memory for what does not stay in the file.</summary>
    private long Room(string name, StoredTensor tensor)
        => _tables.ContainsKey(name) || _matrices.ContainsKey(name) || IsOfCaptions(name) ? 0
            : IsTable(name) ? AlignedMemory.Room<TStored>((nint)tensor.Count)
            : tensor.Shape.Count == 2 ? PackedMatrix<T>.Room((int)tensor.Shape[0], (int)tensor.Shape[1])
            : AlignedMemory.Room<float>(RowKernel<Simd1>.Padded((int)tensor.Count));

    private PackedMatrix<T> Matrix(IReadOnlyDictionary<string, StoredTensor> tensors, string name)
        => _matrices.TryGetValue(name, out var inPlace) ? inPlace : PackedMatrix<T>.Pack(tensors[name], _memory);

    private TStored* Table(IReadOnlyDictionary<string, StoredTensor> tensors, string name)
    {
        if (_tables.TryGetValue(name, out var held))
        {
            return (TStored*)held.Start;
        }

        var source = tensors[name];
        var (rows, width) = (source.Shape[0], source.Shape[1]);
        var table = _memory.Take<TStored>((nint)source.Count);
        for (var row = 0L; row < rows; row += RowsAtOnce) // a table may be longer than a span
        {
            var bytes = (int)(Math.Min(RowsAtOnce, rows - row) * width * sizeof(TStored));
            source.As(StoredType).CopyTo(row * width * sizeof(TStored), new Span<byte>(table + (row * width), bytes));
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
