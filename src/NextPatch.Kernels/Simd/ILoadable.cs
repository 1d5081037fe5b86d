namespace NextPatch.Kernels.Simd;

/// <summary>How numbers lie in memory that kernels only read; they compute in float whatever it is.</summary>
internal unsafe interface ILoadable<T>
    where T : unmanaged, ILoadable<T>
{
    static abstract L Load<L>(T* from)
        where L : unmanaged, ISimd<L>;
}
