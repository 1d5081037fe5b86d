using static TorchSharp.torch;

namespace NextPatch.Torch.Kernels;

/// <summary>How activations are stored; kernels compute in float whatever it is.</summary>
internal unsafe interface IElement<T>
    where T : unmanaged, IElement<T>
{
    /// <summary>The type of tensors that hold it.</summary>
    static abstract ScalarType Type { get; }

    static abstract L Load<L>(T* from)
        where L : unmanaged, ILanes<L>;

    static abstract void Store<L>(T* to, L values)
        where L : unmanaged, ILanes<L>;
}
