using System.Runtime.CompilerServices;

namespace NextPatch.Kernels.Simd;

/// <summary>Weights in whole numbers from -127 to 127, with a scale that lies elsewhere.</summary>
internal readonly unsafe record struct Int8(sbyte Value) : ILoadable<Int8>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static L Load<L>(Int8* from)
        where L : unmanaged, ISimd<L> => L.LoadSByte((sbyte*)from);
}
