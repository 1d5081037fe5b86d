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
