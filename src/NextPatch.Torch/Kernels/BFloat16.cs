using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using static TorchSharp.torch;

namespace NextPatch.Torch.Kernels;

/// <summary>Activations in bfloat16: the upper half of a float.</summary>
internal readonly unsafe record struct BFloat16(ushort Bits) : IElement<BFloat16>
{
    public static ScalarType Type => ScalarType.BFloat16;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Load(BFloat16* from)
    {
        var (low, high) = Vector128.Widen(Vector128.Load((ushort*)from));
        return (Vector256.Create(low, high) << 16).AsSingle();
    }

    // NaN stays NaN: those that arithmetic makes have a payload that rounding does not carry over.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(BFloat16* to, Vector256<float> values)
    {
        var bits = values.AsUInt32();
        var rounded = (bits + Vector256.Create(0x7FFFu) + ((bits >> 16) & Vector256<uint>.One)) >> 16;
        Vector128.Narrow(rounded.GetLower(), rounded.GetUpper()).Store((ushort*)to);
    }

    public static float Widen(BFloat16 value) => BitConverter.UInt32BitsToSingle((uint)value.Bits << 16);

    public static BFloat16 Narrow(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        return new((ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16));
    }
}
