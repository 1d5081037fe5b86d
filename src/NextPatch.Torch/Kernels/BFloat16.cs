using System.Runtime.CompilerServices;
using static TorchSharp.torch;

namespace NextPatch.Torch.Kernels;

/// <summary>Activations in bfloat16: the upper half of a float.</summary>
internal readonly unsafe record struct BFloat16(ushort Bits) : IElement<BFloat16>
{
    public static ScalarType Type => ScalarType.BFloat16;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static L Load<L>(BFloat16* from)
        where L : unmanaged, ILanes<L> => L.LoadBFloat16((ushort*)from);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<L>(BFloat16* to, L values)
        where L : unmanaged, ILanes<L> => L.StoreBFloat16((ushort*)to, values);
}
