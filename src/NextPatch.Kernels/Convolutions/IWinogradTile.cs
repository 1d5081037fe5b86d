using NextPatch.Kernels.Simd;

namespace NextPatch.Kernels.Convolutions;

/// <summary>
/// The one-dimensional transforms of a 3x3 convolution by Winograd's minimal filtering (Lavin and Gray, arXiv 1509.09308): a square of inputs, and
/// the filter, are transformed in both directions; their products element by element, summed over channels, are transformed back.
/// </summary>
internal unsafe interface IWinogradTile
{
    /// <summary>Pixels per side that a tile makes.</summary>
    static abstract int Outputs { get; }

    /// <summary>Pixels per side that it reads: two more.</summary>
    static abstract int Inputs { get; }

    /// <summary>The filter's transform G, [<see cref="Inputs"/>, 3].</summary>
    static abstract ReadOnlySpan<float> Filter { get; }

    /// <summary>B^T d, of vectors that lie at distances.</summary>
    static abstract void TransformInput<L>(float* from, nint fromStep, float* to, nint toStep)
        where L : unmanaged, ISimd<L>;

    /// <summary>A^T m, of vectors that lie at distances.</summary>
    static abstract void TransformOutput<L>(float* from, nint fromStep, float* to, nint toStep)
        where L : unmanaged, ISimd<L>;
}
