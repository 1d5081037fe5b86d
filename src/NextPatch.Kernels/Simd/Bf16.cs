using System.Runtime.CompilerServices;

namespace NextPatch.Kernels.Simd;

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
