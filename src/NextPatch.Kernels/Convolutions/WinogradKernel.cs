using System.Runtime.CompilerServices;
using NextPatch.Kernels.Simd;

namespace NextPatch.Kernels.Convolutions;

/// <summary>The transforms of <typeparamref name="TTile"/> in two dimensions. A lane is a channel, so bits do not depend on their number.</summary>
/// <typeparam name="L">Channels computed at once.</typeparam>
/// <typeparam name="TTile">Size of a tile.</typeparam>
internal static unsafe class WinogradKernel<L, TTile>
    where L : unmanaged, ISimd<L>
    where TTile : IWinogradTile
{
    /// <summary>B^T d B for every channel of a tile.</summary>
    /// <param name="channels">A multiple of the lanes.</param>
    /// <param name="from">The tile's first pixel.</param>
    /// <param name="rowStep">Distance of rows; pixels are <paramref name="channels"/> apart.</param>
    /// <param name="to">The first of the transformed elements, [channels].</param>
    /// <param name="elementStep">Distance of elements, row by row.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    [SkipLocalsInit]
    public static void Input(int channels, float* from, nint rowStep, float* to, nint elementStep)
    {
        var between = stackalloc float[TTile.Inputs * TTile.Inputs * L.Count];
        nint line = TTile.Inputs * L.Count;
        for (var c = 0; c < channels; c += L.Count)
        {
            for (var x = 0; x < TTile.Inputs; x++)
            {
                TTile.TransformInput<L>(from + c + (x * (nint)channels), rowStep, between + (x * L.Count), line);
            }

            for (var y = 0; y < TTile.Inputs; y++)
            {
                TTile.TransformInput<L>(between + (y * line), L.Count, to + c + (y * TTile.Inputs * elementStep), elementStep);
            }
        }
    }

    /// <summary>A^T m A for some channels of a tile.</summary>
    /// <param name="channels">A multiple of the lanes.</param>
    /// <param name="from">The first of the elements, [channels].</param>
    /// <param name="elementStep">Distance of elements, row by row.</param>
    /// <param name="to">[Outputs, Outputs, channels].</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    [SkipLocalsInit]
    public static void Output(int channels, float* from, nint elementStep, float* to)
    {
        var between = stackalloc float[TTile.Outputs * TTile.Inputs * L.Count];
        nint line = TTile.Inputs * L.Count;
        for (var c = 0; c < channels; c += L.Count)
        {
            for (var x = 0; x < TTile.Inputs; x++)
            {
                TTile.TransformOutput<L>(from + c + (x * elementStep), TTile.Inputs * elementStep, between + (x * L.Count), line);
            }

            for (var y = 0; y < TTile.Outputs; y++)
            {
                TTile.TransformOutput<L>(between + (y * line), L.Count, to + c + (y * TTile.Outputs * (nint)channels), channels);
            }
        }
    }
}
