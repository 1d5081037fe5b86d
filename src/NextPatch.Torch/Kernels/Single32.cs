using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using static TorchSharp.torch;

namespace NextPatch.Torch.Kernels;

/// <summary>Activations in float.</summary>
internal readonly unsafe record struct Single32(float Value) : IElement<Single32>
{
    public static ScalarType Type => ScalarType.Float32;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load(Single32* from) => Vector256.Load((float*)from);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Single32* to, Vector256<float> values) => values.Store((float*)to);

    public static float Widen(Single32 value) => value.Value;

    public static Single32 Narrow(float value) => new(value);
}
