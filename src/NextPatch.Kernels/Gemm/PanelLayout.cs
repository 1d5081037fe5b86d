using NextPatch.Core.Tensors;

namespace NextPatch.Kernels.Gemm;

/// <summary>
/// How products find the weights: in panels of 32 columns, two panels to a unit. In floating point those of equal k lie side by side; in eight bits
/// (<see cref="Int8Panels"/>) those of each two, and scales are [blocks of k, 32].
/// </summary>
internal static class PanelLayout
{
    /// <summary>Columns of a panel.</summary>
    public const int Columns = Int8Panels.Columns;

    /// <summary>Columns that a call computes: whole tiles for vectors of any width.</summary>
    public const int UnitColumns = 64;

    /// <summary>Weights of a column that share a scale; widened, a block of four vectors of 256 bits takes 16 KiB of the first-level cache.</summary>
    public const int BlockDepth = Int8Quantization.BlockLength;

    /// <summary>Units that hold so many columns.</summary>
    public static int Units(int columns) => (columns + UnitColumns - 1) / UnitColumns;

    /// <summary>Scales of a column.</summary>
    public static int Blocks(int depth) => (depth + BlockDepth - 1) / BlockDepth;
}

/// <summary>A part of the weights of a unit (<see cref="PanelLayout"/>).</summary>
/// <typeparam name="T">The stored weights.</typeparam>
/// <param name="panel">The unit's first panel.</param>
/// <param name="panelStride">Distance of the second one.</param>
/// <param name="first">Where in K the part begins.</param>
/// <param name="columns">Columns that are wanted; a whole tile is computed where one is.</param>
internal readonly unsafe struct PanelRange<T>(T* panel, nint panelStride, int first, int columns)
    where T : unmanaged
{
    private readonly T* _start = panel + (first * PanelLayout.Columns);

    public readonly int Columns = columns;

    /// <summary>Distance of the two panels.</summary>
    public readonly nint PanelStride = panelStride;

    /// <summary>Where a tile's weights begin.</summary>
    /// <param name="column">Its first column.</param>
    /// <param name="k">Counted from the beginning of the part.</param>
    public T* At(int column, int k)
        => _start + (column / PanelLayout.Columns * PanelStride) + (k * PanelLayout.Columns) + (column % PanelLayout.Columns);
}

/// <summary>The two panels of a unit in eight bits, and their scales (<see cref="PanelLayout"/>).</summary>
/// <param name="first">Weights of the first 32 columns, [pairs of k, 32, 2].</param>
/// <param name="second">Of the other 32.</param>
/// <param name="firstScales">[blocks of k, 32].</param>
/// <param name="secondScales">The same.</param>
internal readonly unsafe struct PanelPair(sbyte* first, sbyte* second, float* firstScales, float* secondScales)
{
    public readonly sbyte* First = first;
    public readonly sbyte* Second = second;
    public readonly float* FirstScales = firstScales;
    public readonly float* SecondScales = secondScales;
}
