namespace NextPatch.Kernels.Simd;

/// <summary>How activations are stored; kernels compute in float whatever it is.</summary>
internal unsafe interface IElement<T>
    where T : unmanaged, IElement<T>
{
    static abstract L Load<L>(T* from)
        where L : unmanaged, ISimd<L>;

    static abstract void Store<L>(T* to, L values)
        where L : unmanaged, ISimd<L>;
}
