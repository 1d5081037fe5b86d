using System.Runtime.CompilerServices;
using static TorchSharp.torch;

namespace NextPatch.Torch.Kernels;

/// <summary>Activations in float.</summary>
internal readonly unsafe record struct Single32(float Value) : IElement<Single32>
{
    public static ScalarType Type => ScalarType.Float32;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static L Load<L>(Single32* from)
        where L : unmanaged, ILanes<L> => L.Load((float*)from);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<L>(Single32* to, L values)
        where L : unmanaged, ILanes<L> => L.Store((float*)to, values);
}
