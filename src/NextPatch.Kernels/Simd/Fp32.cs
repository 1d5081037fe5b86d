using System.Runtime.CompilerServices;

namespace NextPatch.Kernels.Simd;

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
