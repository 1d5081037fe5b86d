using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using NextPatch.Core.Tensors;
using NextPatch.Cpu.Memory;
using NextPatch.Kernels.Convolutions;
using NextPatch.Kernels.Gemm;
using NextPatch.Kernels.Simd;
using NextPatch.Kernels.Threading;

namespace NextPatch.Cpu.Tokenizer;

// Shape letters: I and O channels in and out, E elements of a transformed tile, T tiles of a slab.

/// <summary>
/// A 3x3 convolution over an image with a border of zeros by Winograd's transforms; norm and SiLU, or the repetition of pixels to twice the size, are
/// applied as the tiles are read. Some rows of tiles at a time, so that memory does not grow with the image.
/// </summary>
/// <typeparam name="TTile">Larger tiles take fewer products and more memory for weights.</typeparam>
internal sealed unsafe class WinogradConvolution<TTile> : IConvolution
    where TTile : IWinogradTile
{
    /// <summary>Tiles of a slab at least: so many rows share each block of weights.</summary>
    private const int SlabTiles = 64;

    /// <summary>Tiles whose inputs are laid out and transformed at once; they stay in the second-level cache.</summary>
    private const int SegmentTiles = 8;

    /// <summary>
    /// Floats between elements: at distances of a power of two all elements of a tile would share few sets of the first-level cache.
    /// </summary>
    private const int Gap = 16;

    private readonly int _inputs;
    private readonly float[] _bias;
    private readonly bool _isUpsampling;
    private StoredTensor? _weight; // until it is laid out
    private AlignedMemory? _memory;
    private float* _weights; // [E, units, panels of a unit]

    /// <param name="weight">[O, I, 3, 3] in float; read when it first runs.</param>
    /// <param name="bias">[O].</param>
    /// <param name="isUpsampling">Whether pixels are first repeated to twice the size.</param>
    public WinogradConvolution(StoredTensor weight, HostTensor bias, bool isUpsampling = false)
        => (_weight, _inputs, _bias, _isUpsampling) = (weight, (int)weight.Shape[1], bias.ToSingles(), isUpsampling);

    public int Outputs => _bias.Length;

    private static int Elements => TTile.Inputs * TTile.Inputs;

    private int Units => PanelLayout.Units(Outputs);

    private nint UnitWeights => (nint)_inputs * PanelLayout.UnitColumns;

    public void Run<L>(ThreadTeam team, TokenizerMaps maps, FeatureMap from, GroupNorm? norm, FeatureMap to, bool add = false)
        where L : unmanaged, ISimd<L>
    {
        LayOut<L>(team);
        var scale = _isUpsampling ? 2 : 1;
        if (!add)
        {
            to.Shape(scale * from.Height, scale * from.Width, Outputs);
        }

        var factors = norm?.Measure<L>(team, from);
        var (across, down) = ((to.Width + TTile.Outputs - 1) / TTile.Outputs, (to.Height + TTile.Outputs - 1) / TTile.Outputs);
        var rows = Math.Min(down, (SlabTiles + across - 1) / across);
        var slab = new Slab(rows, across, _inputs, Units);
        slab.Place(maps.Room(slab.Floats));
        var segments = (across + SegmentTiles - 1) / SegmentTiles;
        for (var first = 0; first < down; first += rows)
        {
            var (row, count) = (first, Math.Min(rows, down - first));
            team.Run(count * segments, (part, _) => ReadTiles<L>(from, factors, slab, row, part / segments, part % segments * SegmentTiles, to));
            team.Run(Elements, (element, _) => Multiply<L>(slab, element, count * across));
            team.Run(count * segments * Units, (part, _) => WriteTiles<L>(
                slab, row, part / Units / segments, part / Units % segments * SegmentTiles, part % Units, to, add));
        }
    }

    public void Dispose() => _memory?.Dispose();

    /// <summary>Lays out a segment's pixels with what is applied to them, and transforms its tiles.</summary>
    private void ReadTiles<L>(FeatureMap from, NormFactors? norm, Slab slab, int firstRow, int row, int firstTile, FeatureMap to)
        where L : unmanaged, ISimd<L>
    {
        var tiles = Math.Min(SegmentTiles, slab.Across - firstTile);
        var width = (tiles * TTile.Outputs) + 2;
        var pixels = ArrayPool<float>.Shared.Rent(TTile.Inputs * width * _inputs);
        fixed (float* band = pixels)
        {
            var (top, left) = (((firstRow + row) * TTile.Outputs) - 1, (firstTile * TTile.Outputs) - 1);
            for (var y = 0; y < TTile.Inputs; y++)
            {
                var line = band + ((nint)y * width * _inputs);
                if (top + y < 0 || top + y >= to.Height)
                {
                    new Span<float>(line, width * _inputs).Clear();
                }
                else
                {
                    ReadLine<L>(from, norm, top + y, left, width, to.Width, line);
                }
            }

            for (var tile = 0; tile < tiles; tile++)
            {
                WinogradKernel<L, TTile>.Input(
                    _inputs, band + ((nint)tile * TTile.Outputs * _inputs), (nint)width * _inputs,
                    slab.Input(0, (row * slab.Across) + firstTile + tile), slab.InputStep);
            }
        }

        ArrayPool<float>.Shared.Return(pixels);
    }

    /// <summary>Pixels of one line, zeros outside the image.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void ReadLine<L>(FeatureMap from, NormFactors? norm, int y, int left, int count, int width, float* line)
        where L : unmanaged, ISimd<L>
    {
        var (first, end) = (Math.Max(left, 0), Math.Min(left + count, width));
        new Span<float>(line, (first - left) * _inputs).Clear();
        new Span<float>(line + ((nint)(end - left) * _inputs), (left + count - end) * _inputs).Clear();
        var to = line + ((nint)(first - left) * _inputs);
        if (_isUpsampling)
        {
            for (var x = first; x < end; x++, to += _inputs)
            {
                new ReadOnlySpan<float>(from.At(y / 2, x / 2), _inputs).CopyTo(new Span<float>(to, _inputs));
            }
        }
        else if (norm is { } factors)
        {
            factors.Apply<L>(end - first, from.At(y, first), withSilu: true, to);
        }
        else
        {
            new ReadOnlySpan<float>(from.At(y, first), (end - first) * _inputs).CopyTo(new Span<float>(to, (end - first) * _inputs));
        }
    }

    /// <summary>One element of all tiles.</summary>
    private void Multiply<L>(Slab slab, int element, int tiles)
        where L : unmanaged, ISimd<L>
    {
        for (var unit = 0; unit < Units; unit++)
        {
            var columns = Math.Min(PanelLayout.UnitColumns, Outputs - (unit * PanelLayout.UnitColumns));
            var weights = new PanelRange<Fp32>(
                (Fp32*)_weights + (((nint)(element * Units) + unit) * UnitWeights), (nint)_inputs * PanelLayout.Columns, 0, columns);
            var result = slab.Output(element, unit, 0);
            SkinnyGemm<L, Fp32>.Multiply(tiles, _inputs, weights, slab.Input(element, 0), _inputs, result);
        }
    }

    /// <summary>Transforms a segment's tiles back, 64 channels of them, and puts them into the image.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    [SkipLocalsInit]
    private void WriteTiles<L>(Slab slab, int firstRow, int row, int firstTile, int unit, FeatureMap to, bool add)
        where L : unmanaged, ISimd<L>
    {
        var pixels = stackalloc float[TTile.Outputs * TTile.Outputs * PanelLayout.UnitColumns];
        var column = unit * PanelLayout.UnitColumns;
        var columns = Math.Min(PanelLayout.UnitColumns, Outputs - column);
        var rounded = (columns + FixedSum.Parts - 1) / FixedSum.Parts * FixedSum.Parts; // whole vectors of any width
        var top = (firstRow + row) * TTile.Outputs;
        fixed (float* bias = &_bias[column])
        {
            for (var tile = firstTile; tile < Math.Min(firstTile + SegmentTiles, slab.Across); tile++)
            {
                WinogradKernel<L, TTile>.Output(rounded, slab.Output(0, unit, (row * slab.Across) + tile), slab.OutputStep, pixels);
                for (var y = 0; y < Math.Min(TTile.Outputs, to.Height - top); y++)
                {
                    for (var x = 0; x < Math.Min(TTile.Outputs, to.Width - (tile * TTile.Outputs)); x++)
                    {
                        Put<L>(
                            columns, pixels + ((nint)((y * TTile.Outputs) + x) * rounded), bias, to.At(top + y, (tile * TTile.Outputs) + x) + column,
                            add);
                    }
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put<L>(int count, float* values, float* bias, float* to, bool add)
        where L : unmanaged, ISimd<L>
    {
        var c = 0;
        for (; c <= count - L.Count; c += L.Count)
        {
            var sum = L.Load(values + c) + L.Load(bias + c);
            L.Store(to + c, add ? L.Load(to + c) + sum : sum);
        }

        for (; c < count; c++)
        {
            to[c] = add ? to[c] + (values[c] + bias[c]) : values[c] + bias[c];
        }
    }

    private void LayOut<L>(ThreadTeam team)
        where L : unmanaged, ISimd<L>
    {
        if (_weight is null)
        {
            return;
        }

        var floats = (nint)Elements * Units * UnitWeights;
        _memory = new AlignedMemory(AlignedMemory.Room<float>(floats), isZero: false);
        _weights = _memory.Take<float>(floats);
        var values = new float[_weight.Count];
        _weight.CopyTo(0, MemoryMarshal.AsBytes(values.AsSpan()));
        team.Run(2 * Units, (panel, _) => TransformFilters<L>(values, panel));
        _weight = null;
    }

    /// <summary>G g G^T of the filters of 32 outputs, into their panel of every element.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    [SkipLocalsInit]
    private void TransformFilters<L>(float[] weight, int panel)
        where L : unmanaged, ISimd<L>
    {
        var side = TTile.Inputs;
        var filters = stackalloc float[9 * PanelLayout.Columns]; // [9, 32]
        var rows = stackalloc float[side * 3 * L.Count];
        var count = Math.Clamp(Outputs - (panel * PanelLayout.Columns), 0, PanelLayout.Columns);
        new Span<float>(filters, 9 * PanelLayout.Columns).Clear();
        fixed (float* g = TTile.Filter, weights = weight)
        {
            var filter = weights + ((nint)panel * PanelLayout.Columns * _inputs * 9);
            var to = _weights + ((nint)panel * _inputs * PanelLayout.Columns);
            for (var i = 0; i < _inputs; i++, filter += 9, to += PanelLayout.Columns)
            {
                for (var o = 0; o < count; o++)
                {
                    for (var tap = 0; tap < 9; tap++)
                    {
                        filters[(tap * PanelLayout.Columns) + o] = filter[((nint)o * _inputs * 9) + tap];
                    }
                }

                for (var o = 0; o < PanelLayout.Columns; o += L.Count)
                {
                    for (var e = 0; e < side; e++)
                    {
                        for (var x = 0; x < 3; x++)
                        {
                            L.Store(rows + (((e * 3) + x) * L.Count),
                                Transform<L>(g + (e * 3), filters + (x * PanelLayout.Columns) + o, 3 * PanelLayout.Columns));
                        }
                    }

                    for (var e = 0; e < side * side; e++)
                    {
                        var sum = Transform<L>(g + (e % side * 3), rows + (e / side * 3 * L.Count), L.Count);
                        L.Store(to + (e * Units * UnitWeights) + o, sum);
                    }
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static L Transform<L>(float* g, float* from, nint step)
        where L : unmanaged, ISimd<L>
        => (L.Create(g[0]) * L.Load(from)) + (L.Create(g[1]) * L.Load(from + step)) + (L.Create(g[2]) * L.Load(from + (2 * step)));

    /// <summary>Transformed tiles of some rows: inputs [E, T, I] and outputs [E, units, T, 64].</summary>
    private struct Slab(int rows, int across, int inputs, int units)
    {
        private readonly int _tiles = rows * across;
        private float* _start;

        public readonly int Across = across;

        /// <summary>Memory that it takes.</summary>
        public readonly nint Floats => Elements * (InputStep + OutputStep);

        public readonly nint InputStep => ((nint)_tiles * inputs) + Gap;

        public readonly nint OutputStep => ((nint)_tiles * units * PanelLayout.UnitColumns) + Gap;

        public void Place(float* start) => _start = start;

        public readonly float* Input(int element, int tile) => _start + (element * InputStep) + ((nint)tile * inputs);

        public readonly float* Output(int element, int unit, int tile)
            => _start + (Elements * InputStep) + (element * OutputStep) + (((nint)(unit * _tiles) + tile) * PanelLayout.UnitColumns);
    }
}
