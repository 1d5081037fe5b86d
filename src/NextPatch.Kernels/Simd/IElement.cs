namespace NextPatch.Kernels.Simd;

/// <summary>How activations are stored; kernels compute in float whatever it is.</summary>
internal unsafe interface IElement<T> : ILoadable<T>
    where T : unmanaged, IElement<T>
{
    static abstract void Store<L>(T* to, L values)
        where L : unmanaged, ISimd<L>;
}
