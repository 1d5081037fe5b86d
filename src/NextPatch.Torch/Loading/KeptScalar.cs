using TorchSharp;

namespace NextPatch.Torch.Loading;

/// <summary>Numbers as operands of tensors, kept alive until the operation is done.</summary>
/// <remarks>
/// TorchSharp 0.107 gives libtorch the address inside a finalisable object and lets go of the object: a collection on another thread, while
/// this one is inside libtorch, frees the number, and the operation ends in "Unknown scalar type". It was seen once in 1,300 steps on a busy machine.
/// A thread's last numbers are therefore held here; an operation is done long before so many others have begun.
/// This build runs a copy of TorchSharp that keeps them by itself (docs/adr/0009); programs that bring the package's own still need this.
/// </remarks>
public static class KeptScalar
{
    private const int Count = 256;

    [ThreadStatic]
    private static Scalar[]? _kept;

    [ThreadStatic]
    private static int _next;

    /// <param name="value">Becomes a float64 scalar; the operation converts it to the tensor's type.</param>
    public static Scalar Of(double value)
    {
        _kept ??= new Scalar[Count];
        var scalar = (Scalar)value;
        _kept[_next] = scalar;
        _next = (_next + 1) % Count;
        return scalar;
    }
}
