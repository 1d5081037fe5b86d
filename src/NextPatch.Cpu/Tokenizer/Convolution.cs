using System.Buffers;
using NextPatch.Core.Tensors;
using NextPatch.Cpu.Memory;
using NextPatch.Kernels.Gemm;
using NextPatch.Kernels.Simd;
using NextPatch.Kernels.Threading;

namespace NextPatch.Cpu.Tokenizer;

// Shape letters: O and I channels out and in, h and w rows and columns.

/// <summary>
/// A convolution as products: for every tap of its window the pixels of some rows, shifted, times that tap's weights, added up in place. Pixels lie
/// with their channels together, so nothing is laid out for it.
/// </summary>
internal sealed unsafe class Convolution : IDisposable
{
    /// <summary>Pixels of a task: their sums stay in the second-level cache, and each block of weights serves them all.</summary>
    private const int TaskPixels = 192;

    private readonly AlignedMemory _memory;
    private readonly PackedMatrix<Fp32> _weights;
    private readonly float[] _bias;
    private readonly (int Y, int X)[] _taps;
    private readonly int _inputs;
    private readonly int _scale;
    private readonly (int Y, int X) _offset;

    /// <param name="weights">[O, I] of each tap.</param>
    /// <param name="bias">[O].</param>
    /// <param name="taps">Where each tap looks, from the pixel.</param>
    /// <param name="scale">Distance of the pixels that it makes.</param>
    /// <param name="offset">Place of the first of them.</param>
    private Convolution(IReadOnlyList<float[]> weights, float[] bias, (int Y, int X)[] taps, int scale, (int Y, int X) offset)
    {
        (_bias, _taps, _scale, _offset) = (bias, taps, scale, offset);
        _inputs = weights[0].Length / bias.Length;
        var depth = taps.Length * _inputs;
        var rows = new float[bias.Length * depth];
        for (var o = 0; o < bias.Length; o++)
        {
            for (var tap = 0; tap < taps.Length; tap++)
            {
                weights[tap].AsSpan(o * _inputs, _inputs).CopyTo(rows.AsSpan((o * depth) + (tap * _inputs)));
            }
        }

        _memory = new AlignedMemory(PackedMatrix<Fp32>.Room(PanelLayout.Units(bias.Length), depth));
        _weights = PackedMatrix<Fp32>.Pack([StoredTensor.From(HostTensor.FromSingles([bias.Length, depth], rows))], _memory);
    }

    /// <summary>Channels out.</summary>
    public int Outputs => _bias.Length;

    /// <summary>1x1, or 3x3 over an image with a border of zeros.</summary>
    /// <param name="weight">[O, I, side, side].</param>
    /// <param name="bias">[O].</param>
    public static Convolution Create(HostTensor weight, HostTensor bias)
    {
        var (side, taps) = ((int)weight.Shape[2], Taps(weight, isTransposed: false));
        var places = Enumerable.Range(0, side * side).Select(i => ((i / side) - (side / 2), (i % side) - (side / 2))).ToArray();
        return new Convolution(taps, bias.ToSingles(), places, 1, (0, 0));
    }

    /// <summary>
    /// Twice the size by repetition of pixels, then 3x3: four convolutions of 2x2, one for each pixel of four, with sums of the taps that see the
    /// same pixel.
    /// </summary>
    /// <param name="weight">[O, I, 3, 3].</param>
    /// <param name="bias">[O].</param>
    public static Convolution[] CreateUpsampling(HostTensor weight, HostTensor bias)
    {
        var taps = Taps(weight, isTransposed: false);
        return Phases(bias, (phase, tap) => phase == 0 ? (tap == 0 ? [0] : [1, 2]) : tap == 0 ? [0, 1] : [2], (y, x) => taps[(y * 3) + x]);
    }

    /// <summary>A transposed convolution, 4x4, stride 2, padding 1: four convolutions of 2x2.</summary>
    /// <param name="weight">[I, O, 4, 4].</param>
    /// <param name="bias">[O].</param>
    public static Convolution[] CreateTransposed(HostTensor weight, HostTensor bias)
    {
        var taps = Taps(weight, isTransposed: true);
        return Phases(bias, (phase, tap) => [3 - phase - (2 * tap)], (y, x) => taps[(y * 4) + x]);
    }

    /// <summary>Makes its pixels of <paramref name="to"/>, which has the shape.</summary>
    /// <param name="team">The threads.</param>
    /// <param name="from">[h, w, I].</param>
    /// <param name="to">[scale h, scale w, O]; other than <paramref name="from"/>.</param>
    /// <param name="add">Whether to add to what is there.</param>
    /// <typeparam name="L">Channels computed at once.</typeparam>
    public void Run<L>(ThreadTeam team, FeatureMap from, FeatureMap to, bool add = false)
        where L : unmanaged, ISimd<L>
    {
        var rows = Math.Clamp(TaskPixels / from.Width, 1, from.Height);
        var bands = (from.Height + rows - 1) / rows;
        team.Run(bands * _weights.Units, (part, _) => Task<L>(from, to, part / _weights.Units * rows, rows, part % _weights.Units, add));
    }

    public void Dispose() => _memory.Dispose();

    private void Task<L>(FeatureMap from, FeatureMap to, int first, int rows, int unit, bool add)
        where L : unmanaged, ISimd<L>
    {
        rows = Math.Min(rows, from.Height - first);
        var columns = Math.Min(PanelLayout.UnitColumns, Outputs - (unit * PanelLayout.UnitColumns));
        var bias = _bias.AsSpan(unit * PanelLayout.UnitColumns, columns);
        var room = ArrayPool<float>.Shared.Rent(rows * from.Width * PanelLayout.UnitColumns);
        fixed (float* sums = room)
        {
            for (var pixel = 0; pixel < rows * from.Width; pixel++)
            {
                bias.CopyTo(room.AsSpan(pixel * PanelLayout.UnitColumns));
            }

            for (var tap = 0; tap < _taps.Length; tap++)
            {
                var pixels = new RowSet(from.At(first + _taps[tap].Y, _taps[tap].X), rows, from.RowStride, from.Width, _inputs);
                SkinnyGemm<L, Fp32>.Accumulate(pixels, _inputs, _weights.Part(unit, tap * _inputs, columns), null, sums);
            }

            for (var pixel = 0; pixel < rows * from.Width; pixel++)
            {
                var (y, x) = (((first + (pixel / from.Width)) * _scale) + _offset.Y, (pixel % from.Width * _scale) + _offset.X);
                Put(sums + (pixel * PanelLayout.UnitColumns), columns, to.At(y, x) + (unit * PanelLayout.UnitColumns), add);
            }
        }

        ArrayPool<float>.Shared.Return(room);
    }

    private static void Put(float* from, int count, float* to, bool add)
    {
        for (var i = 0; i < count; i++)
        {
            to[i] = add ? to[i] + from[i] : from[i];
        }
    }

    private static Convolution[] Phases(HostTensor bias, Func<int, int, int[]> places, Func<int, int, float[]> weightAt)
    {
        var values = bias.ToSingles();
        return [.. Enumerable.Range(0, 4).Select(phase =>
        {
            var (phaseY, phaseX) = (phase / 2, phase % 2);
            var weights = Enumerable.Range(0, 4).Select(tap => Sum(
                from y in places(phaseY, tap / 2) from x in places(phaseX, tap % 2) select weightAt(y, x))).ToList();
            var taps = Enumerable.Range(0, 4).Select(tap => (phaseY - 1 + (tap / 2), phaseX - 1 + (tap % 2))).ToArray();
            return new Convolution(weights, values, taps, 2, (phaseY, phaseX));
        })];
    }

    private static float[] Sum(IEnumerable<float[]> matrices)
        => matrices.Aggregate((a, b) => [.. a.Zip(b, (x, y) => x + y)]);

    /// <returns>[O, I] of every tap.</returns>
    private static List<float[]> Taps(HostTensor weight, bool isTransposed)
    {
        var (values, size) = (weight.ToSingles(), (int)(weight.Shape[2] * weight.Shape[3]));
        var (outer, inner) = ((int)weight.Shape[0], (int)weight.Shape[1]);
        return [.. Enumerable.Range(0, size).Select(tap =>
        {
            var matrix = new float[outer * inner];
            for (var i = 0; i < matrix.Length; i++)
            {
                matrix[isTransposed ? (i % inner * outer) + (i / inner) : i] = values[(i * size) + tap];
            }

            return matrix;
        })];
    }
}
