using System.Runtime.CompilerServices;

namespace NextPatch.Kernels.Simd;

/// <summary>How numbers lie in memory that kernels only read; they compute in float whatever it is.</summary>
internal unsafe interface ILoadable<T>
    where T : unmanaged, ILoadable<T>
{
    static abstract L Load<L>(T* from)
        where L : unmanaged, ISimd<L>;
}

/// <summary>How activations are stored; kernels compute in float whatever it is.</summary>
internal unsafe interface IElement<T> : ILoadable<T>
    where T : unmanaged, IElement<T>
{
    static abstract void Store<L>(T* to, L values)
        where L : unmanaged, ISimd<L>;
}

/// <summary>Activations in float.</summary>
internal readonly unsafe record struct Fp32(float Value) : IElement<Fp32>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static L Load<L>(Fp32* from)
        where L : unmanaged, ISimd<L> => L.Load((float*)from);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<L>(Fp32* to, L values)
        where L : unmanaged, ISimd<L> => L.Store((float*)to, values);
}

/// <summary>Activations in bfloat16: the upper half of a float.</summary>
internal readonly unsafe record struct Bf16(ushort Bits) : IElement<Bf16>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static L Load<L>(Bf16* from)
        where L : unmanaged, ISimd<L> => L.LoadBFloat16((ushort*)from);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<L>(Bf16* to, L values)
        where L : unmanaged, ISimd<L> => L.StoreBFloat16((ushort*)to, values);
}

/// <summary>Weights in whole numbers from -127 to 127, with scales that lie elsewhere (<see cref="Gemm.IntegerGemm{L}"/>).</summary>
internal readonly record struct Int8(sbyte Value);
