using System.Runtime.InteropServices;
using NextPatch.Core.Tensors;
using NextPatch.Kernels.Gemm;
using NextPatch.Kernels.Simd;

namespace NextPatch.Cpu.Memory;

// Shape letters: N outputs, K inputs, R rows.

/// <summary>A linear map laid out for products: panels (<see cref="PanelLayout"/>), two of which make a unit.</summary>
/// <typeparam name="T">Fp32, Bf16 or Int8.</typeparam>
internal readonly unsafe struct PackedMatrix<T>
    where T : unmanaged
{
    private readonly T* _first;
    private readonly T* _second;
    private readonly float* _firstScales;
    private readonly float* _secondScales;
    private readonly nint _step;
    private readonly nint _scaleStep;

    /// <param name="outputs">N.</param>
    /// <param name="depth">K.</param>
    /// <param name="panels">Where all panels lie.</param>
    /// <param name="scales">Where their scales do.</param>
    private PackedMatrix(int outputs, int depth, T* panels, float* scales)
    {
        (Outputs, Depth, Units) = (outputs, depth, PanelLayout.Units(outputs));
        _first = panels;
        _second = panels + PanelWeights(depth);
        _firstScales = scales;
        _secondScales = scales + PanelScales(depth);
        (_step, _scaleStep) = (2 * PanelWeights(depth), 2 * PanelScales(depth));
    }

    private PackedMatrix(PackedMatrix<T> first, PackedMatrix<T> second)
    {
        (Outputs, Depth, Units) = (first.Outputs, first.Depth, (first.Outputs + PanelLayout.Columns - 1) / PanelLayout.Columns);
        _first = first._first;
        _second = second._first;
        _firstScales = first._firstScales;
        _secondScales = second._firstScales;
        (_step, _scaleStep) = (first._step / 2, first._scaleStep / 2);
    }

    /// <summary>Calls of <see cref="Multiply"/> that make the whole product.</summary>
    public int Units { get; }

    /// <summary>N.</summary>
    public int Outputs { get; }

    /// <summary>K.</summary>
    public int Depth { get; }

    /// <summary>Whether rows are multiplied in whole numbers too (<see cref="IntegerRows"/>).</summary>
    public static bool IsInteger => typeof(T) == typeof(Int8);

    /// <summary>Bytes that a matrix takes.</summary>
    public static nint Room(int outputs, int depth)
    {
        nint panels = 2 * PanelLayout.Units(outputs);
        return AlignedMemory.Room<T>(panels * PanelWeights(depth)) + AlignedMemory.Room<float>(panels * PanelScales(depth));
    }

    /// <summary>Reads weights [N, K] in whatever type they lie.</summary>
    /// <param name="weights">The matrix.</param>
    /// <param name="memory">Has <see cref="Room"/> left.</param>
    public static PackedMatrix<T> Pack(StoredTensor weights, AlignedMemory memory)
    {
        var (outputs, depth) = ((int)weights.Shape[0], (int)weights.Shape[1]);
        nint panels = 2 * PanelLayout.Units(outputs);
        var packed = new PackedMatrix<T>(
            outputs, depth, memory.Take<T>(panels * PanelWeights(depth)), memory.Take<float>(panels * PanelScales(depth)));
        if (IsInteger)
        {
            var (values, scales) = Int8Panels.Quantize(weights);
            Copy(values, (byte*)packed._first);
            Copy(scales, (byte*)packed._firstScales);
            return packed;
        }

        var rows = new float[PanelLayout.Columns * depth];
        for (var first = 0; first < outputs; first += PanelLayout.Columns)
        {
            var part = rows.AsSpan(0, Math.Min(PanelLayout.Columns, outputs - first) * depth);
            weights.As(ElementType.Float32).CopyTo((long)first * depth * sizeof(float), MemoryMarshal.AsBytes(part));
            Turn(part, depth, packed._first + (first / PanelLayout.Columns * PanelWeights(depth)));
        }

        return packed;
    }

    /// <summary>Weights in eight bits where they lie in a mapped file.</summary>
    /// <param name="weights">The matrix.</param>
    /// <param name="held">Receives what keeps them there.</param>
    /// <returns>Null where they do not lie in a file as products want them.</returns>
    public static PackedMatrix<T>? InPlace(StoredTensor weights, List<IDisposable> held)
    {
        if (!IsInteger || weights is not PanelTensor tensor || tensor.Panels.Hold() is not { } panels)
        {
            return null;
        }

        held.Add(panels);
        if (tensor.Scales.Hold() is not { } scales)
        {
            return null;
        }

        held.Add(scales);
        return new PackedMatrix<T>((int)weights.Shape[0], (int)weights.Shape[1], (T*)panels.Start, (float*)scales.Start);
    }

    /// <summary>Two matrices of the same shape as one: the first one's columns in front in every unit.</summary>
    public static PackedMatrix<T> Pair(PackedMatrix<T> first, PackedMatrix<T> second) => new(first, second);

    /// <summary>64 columns of x W.</summary>
    /// <param name="unit">Which.</param>
    /// <param name="rows">R.</param>
    /// <param name="x">[R, K]: floats, or where <see cref="IsInteger"/> rows as <see cref="IntegerRows"/> makes them.</param>
    /// <param name="stride">Distance of rows of floats.</param>
    /// <param name="result">[R, 64].</param>
    /// <typeparam name="L">Columns computed at once.</typeparam>
    public void Multiply<L>(int unit, int rows, void* x, int stride, float* result)
        where L : unmanaged, ISimd<L>
    {
        T* first = _first + (unit * _step), second = _second + (unit * _step);
        if (typeof(T) == typeof(Int8))
        {
            var pair = new PanelPair((sbyte*)first, (sbyte*)second, _firstScales + (unit * _scaleStep), _secondScales + (unit * _scaleStep));
            IntegerGemm<L>.Multiply(rows, Depth, pair, (byte*)x, result);
        }
        else if (typeof(T) == typeof(Bf16))
        {
            var range = new PanelRange<Bf16>((Bf16*)first, (nint)(second - first), 0, PanelLayout.UnitColumns);
            SkinnyGemm<L, Bf16>.Multiply(rows, Depth, range, (float*)x, stride, result);
        }
        else
        {
            var range = new PanelRange<Fp32>((Fp32*)first, (nint)(second - first), 0, PanelLayout.UnitColumns);
            SkinnyGemm<L, Fp32>.Multiply(rows, Depth, range, (float*)x, stride, result);
        }
    }

    /// <summary>A part of K of a unit.</summary>
    /// <param name="unit">Which.</param>
    /// <param name="first">Where in K the part begins.</param>
    /// <param name="columns">Columns that are wanted, 1 to 64.</param>
    public PanelRange<T> Part(int unit, int first, int columns)
        => new(_first + (unit * _step), (nint)(_second - _first), first, columns);

    private static nint PanelWeights(int depth) => (nint)(IsInteger ? (depth + 1) / 2 * 2 : depth) * PanelLayout.Columns;

    private static nint PanelScales(int depth) => IsInteger ? (nint)PanelLayout.Blocks(depth) * PanelLayout.Columns : 0;

    private static void Copy(StoredTensor source, byte* to)
        => source.WriteTo(part =>
        {
            part.CopyTo(new Span<byte>(to, part.Length));
            to += part.Length;
        });

    /// <summary>Rows become the columns of a panel.</summary>
    private static void Turn(ReadOnlySpan<float> rows, int depth, T* panel)
    {
        for (var column = 0; column * depth < rows.Length; column++)
        {
            var row = rows.Slice(column * depth, depth);
            for (var k = 0; k < row.Length; k++)
            {
                var to = panel + ((nint)k * PanelLayout.Columns) + column;
                if (typeof(T) == typeof(Bf16))
                {
                    *(ushort*)to = BFloat16.FromSingle(row[k]);
                }
                else
                {
                    *(float*)to = row[k];
                }
            }
        }
    }
}
