using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace NextPatch.Torch.Kernels;

// Shape letters: R rows, F width of the feed-forward part.

/// <summary>silu(gate) * up and its backward pass; the scalar rest is also the plain twin (<c>vectorised = false</c>).</summary>
internal static unsafe class SwiGluKernel
{
    /// <param name="rows">R.</param>
    /// <param name="width">F.</param>
    /// <param name="gateUp">Gate and up side by side, [R, 2 F].</param>
    /// <param name="hidden">[R, F].</param>
    /// <param name="vectorised">False = the plain twin.</param>
    public static void Forward<T>(int rows, int width, T* gateUp, T* hidden, bool vectorised = true)
        where T : unmanaged, IElement<T>
        => RowSplit.Run(rows, 2 * width, [MethodImpl(MethodImplOptions.AggressiveOptimization)] (first, end) =>
        {
            var lanes = vectorised ? width & ~7 : 0;
            for (var row = first; row < end; row++)
            {
                var gate = gateUp + (2L * row * width);
                T* up = gate + width, result = hidden + ((long)row * width);
                var c = 0;
                for (; c < lanes; c += 8)
                {
                    var g = T.Load(gate + c);
                    T.Store(result + c, g / (Exponential.Of(-g) + Vector256<float>.One) * T.Load(up + c));
                }

                for (; c < width; c++)
                {
                    var g = T.Widen(gate[c]);
                    result[c] = T.Narrow(g / (Exponential.Of(-g) + 1) * T.Widen(up[c]));
                }
            }
        });

    /// <summary>Replaces gate and up by their gradients, and forms the forward result anew, which the gradient of the down-projection needs.</summary>
    /// <param name="rows">R.</param>
    /// <param name="width">F.</param>
    /// <param name="gateUp">[R, 2 F]; becomes the gradients.</param>
    /// <param name="gradient">Gradient of the result, [R, F].</param>
    /// <param name="hidden">The result, [R, F]; written.</param>
    /// <param name="vectorised">False = the plain twin.</param>
    public static void Backward<T>(int rows, int width, T* gateUp, T* gradient, T* hidden, bool vectorised = true)
        where T : unmanaged, IElement<T>
        => RowSplit.Run(rows, 4 * width, [MethodImpl(MethodImplOptions.AggressiveOptimization)] (first, end) =>
        {
            var lanes = vectorised ? width & ~7 : 0;
            for (var row = first; row < end; row++)
            {
                var gate = gateUp + (2L * row * width);
                T* up = gate + width, d = gradient + ((long)row * width), result = hidden + ((long)row * width);
                var c = 0;
                for (; c < lanes; c += 8)
                {
                    var (g, u, dy) = (T.Load(gate + c), T.Load(up + c), T.Load(d + c));
                    var sigmoid = Vector256<float>.One / (Exponential.Of(-g) + Vector256<float>.One);
                    var silu = g * sigmoid;
                    T.Store(result + c, silu * u);
                    T.Store(gate + c, dy * u * (sigmoid + (silu * (Vector256<float>.One - sigmoid))));
                    T.Store(up + c, dy * silu);
                }

                for (; c < width; c++)
                {
                    var (g, u, dy) = (T.Widen(gate[c]), T.Widen(up[c]), T.Widen(d[c]));
                    var sigmoid = 1 / (Exponential.Of(-g) + 1);
                    var silu = g * sigmoid;
                    result[c] = T.Narrow(silu * u);
                    gate[c] = T.Narrow(dy * u * (sigmoid + (silu * (1 - sigmoid))));
                    up[c] = T.Narrow(dy * silu);
                }
            }
        });
}
