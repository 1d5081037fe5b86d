using System.Runtime.CompilerServices;
using NextPatch.Kernels.Simd;
using NextPatch.Kernels.Threading;

namespace NextPatch.Kernels.Elementwise;

// Shape letters: R rows, F width of the feed-forward part.

/// <summary>silu(gate) * up and its backward pass.</summary>
/// <typeparam name="L">Columns computed at once; those that remain are done one by one.</typeparam>
internal static unsafe class SwiGluKernel<L>
    where L : unmanaged, ISimd<L>
{
    /// <param name="rows">R.</param>
    /// <param name="width">F.</param>
    /// <param name="gateUp">Gate and up side by side, [R, 2 F].</param>
    /// <param name="hidden">[R, F].</param>
    public static void Forward<T>(int rows, int width, T* gateUp, T* hidden)
        where T : unmanaged, IElement<T>
        => ParallelRows.Run(rows, 2 * width, (first, end) =>
        {
            for (var row = first; row < end; row++)
            {
                var gate = gateUp + (2L * row * width);
                ForwardRow(0, width, gate, gate + width, hidden + ((long)row * width));
            }
        });

    /// <summary>
    /// Replaces gate and up by their gradients, and forms the forward result anew, which the gradient of the down-projection needs.
    /// </summary>
    /// <param name="rows">R.</param>
    /// <param name="width">F.</param>
    /// <param name="gateUp">[R, 2 F]; becomes the gradients.</param>
    /// <param name="gradient">Gradient of the result, [R, F].</param>
    /// <param name="hidden">The result, [R, F]; written.</param>
    public static void Backward<T>(int rows, int width, T* gateUp, T* gradient, T* hidden)
        where T : unmanaged, IElement<T>
        => ParallelRows.Run(rows, 4 * width, (first, end) =>
        {
            for (var row = first; row < end; row++)
            {
                var gate = gateUp + (2L * row * width);
                BackwardRow(0, width, gate, gate + width, gradient + ((long)row * width), hidden + ((long)row * width));
            }
        });

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ForwardRow<T>(int c, int width, T* gate, T* up, T* hidden)
        where T : unmanaged, IElement<T>
    {
        for (; c <= width - L.Count; c += L.Count)
        {
            var g = T.Load<L>(gate + c);
            T.Store(hidden + c, g / (Exponential.Evaluate(-g) + L.Create(1)) * T.Load<L>(up + c));
        }

        if (c < width)
        {
            SwiGluKernel<Simd1>.ForwardRow(c, width, gate, up, hidden);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void BackwardRow<T>(int c, int width, T* gate, T* up, T* gradient, T* hidden)
        where T : unmanaged, IElement<T>
    {
        for (; c <= width - L.Count; c += L.Count)
        {
            var (g, u, dy) = (T.Load<L>(gate + c), T.Load<L>(up + c), T.Load<L>(gradient + c));
            var sigmoid = L.Create(1) / (Exponential.Evaluate(-g) + L.Create(1));
            var silu = g * sigmoid;
            T.Store(hidden + c, silu * u);
            T.Store(gate + c, dy * u * (sigmoid + (silu * (L.Create(1) - sigmoid))));
            T.Store(up + c, dy * silu);
        }

        if (c < width)
        {
            SwiGluKernel<Simd1>.BackwardRow(c, width, gate, up, gradient, hidden);
        }
    }
}
