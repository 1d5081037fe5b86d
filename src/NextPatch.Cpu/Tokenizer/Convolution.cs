using System.Buffers;
using NextPatch.Core.Tensors;
using NextPatch.Cpu.Memory;
using NextPatch.Kernels.Gemm;
using NextPatch.Kernels.Simd;
using NextPatch.Kernels.Threading;

namespace NextPatch.Cpu.Tokenizer;

// Shape letters: O and I channels out and in, h and w rows and columns.

/// <summary>
/// A convolution as products: for every line of its window the pixels of some rows, shifted, times that line's weights, added up in place. Pixels
/// of a line lie with their channels together, so nothing is laid out for it.
/// </summary>
internal sealed unsafe class Convolution : IConvolution
{
    /// <summary>Pixels of a task: their sums stay in the second-level cache, and each block of weights serves them all.</summary>
    private const int TaskPixels = 192;

    private Func<float[]>? _weightsOf; // until they are packed
    private AlignedMemory? _memory;
    private PackedMatrix<Fp32> _weights;
    private readonly float[] _bias;
    private readonly int _lines;
    private readonly int _depth;
    private readonly (int Y, int X) _first;
    private readonly int _step;
    private readonly int _scale;
    private readonly (int Y, int X) _offset;

    /// <param name="weights">[O, lines, weights of a line]; asked for when it first runs.</param>
    /// <param name="bias">[O].</param>
    /// <param name="lines">Lines of the window.</param>
    /// <param name="depth">Weights of a line.</param>
    /// <param name="first">Where the window begins, from the pixel.</param>
    /// <param name="step">Distance of the pixels that it looks from.</param>
    /// <param name="scale">Distance of the pixels that it makes.</param>
    /// <param name="offset">Place of the first of them.</param>
    private Convolution(
        Func<float[]> weights, float[] bias, int lines, int depth, (int Y, int X) first, int step, int scale = 1, (int Y, int X) offset = default)
    {
        (_weightsOf, _bias, _lines, _depth) = (weights, bias, lines, depth);
        (_first, _step, _scale, _offset) = (first, step, scale, offset);
    }

    public int Outputs => _bias.Length;

    /// <summary>A window with any stride, over an image with a border of zeros.</summary>
    /// <param name="weight">[O, I, side, side].</param>
    /// <param name="bias">[O].</param>
    /// <param name="first">Where the window begins, down and across, from the pixel: minus the padding.</param>
    /// <param name="stride">Pixels from window to window.</param>
    public static Convolution Create(StoredTensor weight, HostTensor bias, int first, int stride)
    {
        var (inputs, side) = ((int)weight.Shape[1], (int)weight.Shape[2]);
        return new Convolution(
            () =>
            {
                var values = weight.Read().ToSingles();
                return Arrange(weight.Shape[0], side, inputs, (o, y, x, i) => values[(((((o * inputs) + i) * side) + y) * side) + x]);
            },
            bias.ToSingles(), side, side * inputs, (first, first), stride);
    }

    /// <summary>One of the four parts of a transposed convolution, 4x4, stride 2, padding 1: a 2x2 window for one pixel of four.</summary>
    /// <param name="weight">[I, O, 4, 4].</param>
    /// <param name="bias">[O].</param>
    /// <param name="phase">Which pixel, down and across.</param>
    public static Convolution CreateTransposed(StoredTensor weight, HostTensor bias, (int Y, int X) phase)
    {
        var (inputs, outputs) = ((int)weight.Shape[0], (int)weight.Shape[1]);
        return new Convolution(
            () =>
            {
                var values = weight.Read().ToSingles();
                return Arrange(outputs, 2, inputs, (o, y, x, i)
                    => values[(((((i * outputs) + o) * 4) + 3 - phase.Y - (2 * y)) * 4) + 3 - phase.X - (2 * x)]);
            },
            bias.ToSingles(), 2, 2 * inputs, (phase.Y - 1, phase.X - 1), 1, 2, phase);
    }

    public void Run<L>(ThreadTeam team, TokenizerMaps maps, FeatureMap from, GroupNorm? norm, FeatureMap to, bool add = false)
        where L : unmanaged, ISimd<L>
    {
        if (norm is not null)
        {
            norm.Run<L>(team, from, maps.Normed, withSilu: true);
            from = maps.Normed;
        }

        if (!add)
        {
            to.Shape(from.Height / _step, from.Width / _step, Outputs);
        }

        Fill<L>(team, from, to, add);
    }

    /// <summary>Makes its pixels of <paramref name="to"/>, which has the shape.</summary>
    public void Fill<L>(ThreadTeam team, FeatureMap from, FeatureMap to, bool add)
        where L : unmanaged, ISimd<L>
    {
        Pack();
        var (height, width) = (from.Height / _step, from.Width / _step);
        var rows = Math.Clamp(TaskPixels / width, 1, height);
        var bands = (height + rows - 1) / rows;
        team.Run(bands * _weights.Units, (part, _) =>
        {
            var first = part / _weights.Units * rows;
            Task<L>(from, to, first, Math.Min(rows, height - first), width, part % _weights.Units, add);
        });
    }

    public void Dispose() => _memory?.Dispose();

    private void Pack()
    {
        if (_weightsOf is not null)
        {
            var window = _lines * _depth;
            _memory = new AlignedMemory(PackedMatrix<Fp32>.Room(Outputs, window));
            _weights = PackedMatrix<Fp32>.Pack(StoredTensor.From(HostTensor.FromSingles([Outputs, window], _weightsOf())), _memory);
            _weightsOf = null;
        }
    }

    private void Task<L>(FeatureMap from, FeatureMap to, int first, int rows, int width, int unit, bool add)
        where L : unmanaged, ISimd<L>
    {
        var columns = Math.Min(PanelLayout.UnitColumns, Outputs - (unit * PanelLayout.UnitColumns));
        var bias = _bias.AsSpan(unit * PanelLayout.UnitColumns, columns);
        var room = ArrayPool<float>.Shared.Rent(rows * width * PanelLayout.UnitColumns);
        fixed (float* sums = room)
        {
            for (var pixel = 0; pixel < rows * width; pixel++)
            {
                bias.CopyTo(room.AsSpan(pixel * PanelLayout.UnitColumns));
            }

            for (var line = 0; line < _lines; line++)
            {
                var start = from.At((first * _step) + _first.Y + line, _first.X);
                var pixels = new RowSet(start, rows, _step * from.RowStride, width, _step * (nint)from.Channels);
                SkinnyGemm<L, Fp32>.Accumulate(pixels, _depth, _weights.Part(unit, line * _depth, columns), sums);
            }

            for (var pixel = 0; pixel < rows * width; pixel++)
            {
                var (y, x) = (((first + (pixel / width)) * _scale) + _offset.Y, (pixel % width * _scale) + _offset.X);
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

    /// <returns>[O, side, side, I]: as pixels lie.</returns>
    private static float[] Arrange(long outputs, int side, int inputs, Func<int, int, int, int, float> weight)
    {
        var arranged = new float[outputs * side * side * inputs];
        for (var at = 0; at < arranged.Length; at++)
        {
            var tap = at / inputs;
            arranged[at] = weight(tap / (side * side), tap / side % side, tap % side, at % inputs);
        }

        return arranged;
    }
}
