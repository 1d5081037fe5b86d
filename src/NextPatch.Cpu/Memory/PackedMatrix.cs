using System.Runtime.InteropServices;
using NextPatch.Core.Tensors;
using NextPatch.Kernels.Gemm;
using NextPatch.Kernels.Simd;

namespace NextPatch.Cpu.Memory;

// Shape letters: N outputs, K inputs.

/// <summary>A linear map laid out for <see cref="SkinnyGemm{L, T}"/>.</summary>
/// <typeparam name="T">Fp32, Bf16 or Int8.</typeparam>
internal readonly unsafe struct PackedMatrix<T>
    where T : unmanaged, ILoadable<T>
{
    private readonly T* _panels;
    private readonly float* _scales;

    private PackedMatrix(int units, int depth, AlignedMemory memory)
    {
        (Units, Depth) = (units, depth);
        _panels = memory.Take<T>(UnitWeights * units);
        _scales = IsScaled ? memory.Take<float>((nint)UnitScales * units) : null;
    }

    /// <summary>Calls of <see cref="Multiply"/> that make the whole product.</summary>
    public int Units { get; }

    /// <summary>K.</summary>
    public int Depth { get; }

    private static bool IsScaled => typeof(T) == typeof(Int8);

    private nint UnitWeights => (nint)Depth * PanelLayout.UnitColumns;

    private int UnitScales => PanelLayout.Blocks(Depth) * PanelLayout.UnitColumns;

    /// <summary>Bytes that a matrix takes.</summary>
    public static nint Room(int units, int depth)
        => AlignedMemory.Room<T>((nint)units * depth * PanelLayout.UnitColumns)
            + (IsScaled ? AlignedMemory.Room<float>((nint)units * PanelLayout.Blocks(depth) * PanelLayout.UnitColumns) : 0);

    /// <summary>Reads weights [N, K] in whatever type they lie.</summary>
    /// <param name="weights">One matrix; or two of the same shape, whose panels then lie in turn, the first one's columns in front in every
    /// unit.</param>
    /// <param name="memory">Has <see cref="Room"/> left.</param>
    public static PackedMatrix<T> Pack(ReadOnlySpan<StoredTensor> weights, AlignedMemory memory)
    {
        var (outputs, depth) = ((int)weights[0].Shape[0], (int)weights[0].Shape[1]);
        var columns = PanelLayout.UnitColumns / weights.Length;
        var packed = new PackedMatrix<T>((outputs + columns - 1) / columns, depth, memory);
        var rows = new float[columns * depth];
        for (var unit = 0; unit < packed.Units; unit++)
        {
            for (var i = 0; i < weights.Length; i++)
            {
                var count = Math.Min(columns, outputs - (unit * columns));
                if (IsScaled && weights[i] is QuantizedTensor quantized)
                {
                    packed.Put(unit, i * columns, quantized, unit * columns, count);
                    continue;
                }

                var part = rows.AsSpan(0, count * depth);
                weights[i].As(ElementType.Float32).CopyTo((long)unit * columns * depth * sizeof(float), MemoryMarshal.AsBytes(part));
                for (var column = 0; column < count; column++)
                {
                    packed.Put(unit, (i * columns) + column, part.Slice(column * depth, depth));
                }
            }
        }

        return packed;
    }

    /// <summary>64 columns of x W.</summary>
    /// <param name="unit">Which.</param>
    /// <param name="rows">R.</param>
    /// <param name="x">[R, K].</param>
    /// <param name="stride">Distance of the rows.</param>
    /// <param name="result">[R, 64].</param>
    /// <typeparam name="L">Columns computed at once.</typeparam>
    public void Multiply<L>(int unit, int rows, float* x, int stride, float* result)
        where L : unmanaged, ISimd<L>
        => SkinnyGemm<L, T>.Multiply(
            rows, Depth, _panels + (unit * UnitWeights), _scales == null ? null : _scales + ((nint)unit * UnitScales), x, stride, result);

    /// <summary>A part of K of a unit.</summary>
    /// <param name="unit">Which.</param>
    /// <param name="first">Where in K the part begins.</param>
    /// <param name="columns">Columns that are wanted, 1 to 64.</param>
    public PanelRange<T> Part(int unit, int first, int columns) => new(_panels + (unit * UnitWeights), Depth, first, columns);

    private T* Column(int unit, int column)
        => _panels + (unit * UnitWeights) + (column / PanelLayout.Columns * (nint)Depth * PanelLayout.Columns) + (column % PanelLayout.Columns);

    /// <summary>Columns as they are stored: quantised again, scales might differ in their last bits.</summary>
    private void Put(int unit, int column, QuantizedTensor weights, long row, int count)
    {
        var (values, scales) = (new sbyte[Depth], new float[PanelLayout.Blocks(Depth)]);
        for (var i = 0; i < count; i++)
        {
            weights.ReadRow(row + i, values, scales);
            var to = (sbyte*)Column(unit, column + i);
            for (var k = 0; k < values.Length; k++)
            {
                to[(nint)k * PanelLayout.Columns] = values[k];
            }

            for (var block = 0; block < scales.Length; block++)
            {
                _scales[((nint)unit * UnitScales) + (block * PanelLayout.UnitColumns) + column + i] = scales[block];
            }
        }
    }

    private void Put(int unit, int column, ReadOnlySpan<float> values)
    {
        var to = Column(unit, column);
        for (var k = 0; k < Depth; k += PanelLayout.BlockDepth)
        {
            var block = values.Slice(k, Math.Min(PanelLayout.BlockDepth, Depth - k));
            var scale = 0f;
            if (IsScaled)
            {
                scale = Int8Quantization.Scale(block);
                _scales[((nint)unit * UnitScales) + (k / PanelLayout.BlockDepth * PanelLayout.UnitColumns) + column] = scale;
            }

            for (var i = 0; i < block.Length; i++)
            {
                Put(block[i], scale, to + ((nint)(k + i) * PanelLayout.Columns));
            }
        }
    }

    private static void Put(float value, float scale, T* to)
    {
        if (typeof(T) == typeof(Int8))
        {
            *(Int8*)to = new Int8(Int8Quantization.Round(value, scale));
        }
        else if (typeof(T) == typeof(Bf16))
        {
            *(ushort*)to = BFloat16.FromSingle(value);
        }
        else
        {
            *(float*)to = value;
        }
    }
}
