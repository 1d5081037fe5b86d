namespace NextPatch.Kernels.Gemm;

/// <summary>
/// How <see cref="SkinnyGemm{L, T}"/> finds the weights: in panels of 32 columns, whose weights of equal k lie side by side, two panels to a unit.
/// Scales of a unit are [blocks of k, 64].
/// </summary>
internal static class PanelLayout
{
    /// <summary>Columns of a panel.</summary>
    public const int Columns = 32;

    /// <summary>Columns that a call computes: whole tiles for vectors of any width.</summary>
    public const int UnitColumns = 64;

    /// <summary>Weights of a column that share a scale; widened, a block of four vectors of 256 bits takes 16 KiB of the first-level cache.</summary>
    public const int BlockDepth = 128;

    /// <summary>Units that hold so many columns.</summary>
    public static int Units(int columns) => (columns + UnitColumns - 1) / UnitColumns;

    /// <summary>Scales of a column.</summary>
    public static int Blocks(int depth) => (depth + BlockDepth - 1) / BlockDepth;
}
