namespace NextPatch.Kernels.Gemm;

// Shape letters: m and n rows and columns of a tile, D length of its sums, a multiple of DepthUnit.

/// <summary>How <see cref="BlockedGemm{T,TTiles}"/> lays out factors of one element type, and multiplies what lies so.</summary>
/// <typeparam name="T">The factors' elements; sums are in float.</typeparam>
internal unsafe interface IGemmTiles<T>
    where T : unmanaged
{
    /// <summary>Columns of a panel of the right factor.</summary>
    static abstract int Columns { get; }

    /// <summary>Rows are shared among tasks in multiples of this.</summary>
    static abstract int RowUnit { get; }

    /// <summary>Lengths of sums are filled up with zeros to a multiple of this.</summary>
    static abstract int DepthUnit { get; }

    /// <summary>Longest sum of one <see cref="Multiply"/>: its panel must stay in a cache while all rows pass.</summary>
    static abstract int BlockDepth { get; }

    /// <summary>Longest sum for which factors are laid out at once.</summary>
    static abstract int LongestDepth { get; }

    /// <summary>Elements between neighbours of a row as <see cref="PackLeft"/> leaves them.</summary>
    static abstract int LeftStep { get; }

    /// <summary>Lays out a panel, so that sums from k on begin k * <see cref="Columns"/> elements after its start.</summary>
    /// <param name="right">[up to D, up to <see cref="Columns"/>].</param>
    /// <param name="panel">D * <see cref="Columns"/> elements.</param>
    static abstract void PackRight(MatrixView<T> right, T* panel);

    /// <summary>Elements that <see cref="PackLeft"/> needs per row.</summary>
    static abstract int LeftRoom(int depth);

    /// <summary>Lays out rows, or takes them as they lie.</summary>
    /// <param name="left">[m, up to D].</param>
    /// <param name="room">m, rounded up to a multiple of <see cref="RowUnit"/>, times <see cref="LeftRoom"/> elements.</param>
    /// <param name="stride">For <see cref="Multiply"/>.</param>
    /// <returns>Where the rows lie; sums from k on begin k * <see cref="LeftStep"/> elements later.</returns>
    static abstract T* PackLeft(MatrixView<T> left, T* room, out nint stride);

    /// <summary>result = left right, or added to it.</summary>
    /// <param name="size">m, n, D.</param>
    /// <param name="left">Where in the rows sums begin.</param>
    /// <param name="leftStride">What <see cref="PackLeft"/> gave.</param>
    /// <param name="right">Where in the panel they begin.</param>
    /// <param name="result">[m, n].</param>
    /// <param name="stride">Distance of the result's rows.</param>
    /// <param name="add">Whether to add to the result.</param>
    static abstract void Multiply((int Rows, int Columns, int Depth) size, T* left, nint leftStride, T* right, float* result, nint stride, bool add);
}
