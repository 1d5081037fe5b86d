using NextPatch.Core.Tensors;
using NextPatch.Cpu.Memory;
using NextPatch.Kernels.Gemm;
using NextPatch.Kernels.Simd;
using NextPatch.Kernels.Threading;

namespace NextPatch.Cpu.Tokenizer;

// Shape letters: T codes per image, W code width, K codes.

/// <summary>
/// The nearest code vector of each latent: on the unit sphere the one with the largest inner product, else the one at the smallest distance, each as
/// PyTorch computes it; of equal ones the first.
/// </summary>
internal sealed unsafe class CodeSearch : IDisposable
{
    /// <summary>Latents of a task; their products with 64 codes stay in the first-level cache.</summary>
    private const int TaskLatents = 32;

    private readonly AlignedMemory _memory;
    private readonly PackedMatrix<Fp32> _codebook; // [K, W]
    private readonly float[] _squares;
    private readonly int _width;
    private readonly bool _isUnit;

    /// <param name="codebook">[K, W].</param>
    /// <param name="width">W.</param>
    /// <param name="isUnit">Whether latents are normed before they are compared, as <paramref name="codebook"/> then is.</param>
    public CodeSearch(float[] codebook, int width, bool isUnit)
    {
        (_width, _isUnit) = (width, isUnit);
        var count = codebook.Length / width;
        _memory = new AlignedMemory(PackedMatrix<Fp32>.Room(count, width));
        _codebook = PackedMatrix<Fp32>.Pack(StoredTensor.From(HostTensor.FromSingles([count, width], codebook)), _memory);
        _squares = [.. codebook.Chunk(width).Select(vector => vector.Sum(v => v * v))];
    }

    /// <param name="team">The threads.</param>
    /// <param name="latents">[h, w, W]; changed where it is normed.</param>
    /// <param name="codes">[h * w].</param>
    /// <typeparam name="L">Codes compared at once.</typeparam>
    public void Run<L>(ThreadTeam team, FeatureMap latents, int[] codes)
        where L : unmanaged, ISimd<L>
    {
        var rows = new float[codes.Length * _width];
        for (var i = 0; i < codes.Length; i++)
        {
            new ReadOnlySpan<float>(latents.At(i / latents.Width, i % latents.Width), _width).CopyTo(rows.AsSpan(i * _width));
        }

        if (_isUnit)
        {
            UnitVectors.Norm(rows, _width);
        }

        team.Run((codes.Length + TaskLatents - 1) / TaskLatents, (part, _) =>
        {
            var first = part * TaskLatents;
            var count = Math.Min(TaskLatents, codes.Length - first);
            Nearest<L>(rows.AsSpan(first * _width, count * _width), codes.AsSpan(first, count));
        });
    }

    public void Dispose() => _memory.Dispose();

    private void Nearest<L>(ReadOnlySpan<float> rows, Span<int> codes)
        where L : unmanaged, ISimd<L>
    {
        var products = stackalloc float[TaskLatents * PanelLayout.UnitColumns];
        Span<float> best = stackalloc float[codes.Length];
        best.Fill(float.NegativeInfinity);
        fixed (float* x = rows)
        {
            for (var unit = 0; unit < _codebook.Units; unit++)
            {
                _codebook.Multiply<L>(unit, codes.Length, x, _width, products);
                var first = unit * PanelLayout.UnitColumns;
                var count = Math.Min(PanelLayout.UnitColumns, _squares.Length - first);
                for (var row = 0; row < codes.Length; row++)
                {
                    var square = _isUnit ? 0 : Square(rows.Slice(row * _width, _width));
                    for (var code = 0; code < count; code++)
                    {
                        var product = products[(row * PanelLayout.UnitColumns) + code];
                        var closeness = _isUnit ? product : (2 * product) - (square + _squares[first + code]);
                        if (closeness > best[row])
                        {
                            (best[row], codes[row]) = (closeness, first + code);
                        }
                    }
                }
            }
        }
    }

    private static float Square(ReadOnlySpan<float> vector)
    {
        var sum = 0f;
        foreach (var v in vector)
        {
            sum += v * v;
        }

        return sum;
    }
}
