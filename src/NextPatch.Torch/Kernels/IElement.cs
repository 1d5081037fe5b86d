using System.Runtime.Intrinsics;
using static TorchSharp.torch;

namespace NextPatch.Torch.Kernels;

/// <summary>How activations are stored; kernels compute in float whatever it is.</summary>
internal unsafe interface IElement<T>
    where T : unmanaged, IElement<T>
{
    /// <summary>The type of tensors that hold it.</summary>
    static abstract ScalarType Type { get; }

    /// <summary>Eight neighbours.</summary>
    static abstract Vector256<float> Load(T* from);

    static abstract void Store(T* to, Vector256<float> values);

    static abstract float Widen(T value);

    /// <summary>Rounds to nearest, ties to even, as libtorch.</summary>
    static abstract T Narrow(float value);
}
