namespace NextPatch.Core.Tensors;

/// <summary>The two 8-bit floats. Source: Micikevicius et al., FP8 Formats for Deep Learning (arXiv 2209.05433).</summary>
internal static class Float8
{
    /// <summary>4 exponent bits with bias 7; all ones are NaN, there is no infinity.</summary>
    public static float FromE4M3(byte bits) => (bits & 0x7F) == 0x7F ? float.NaN : Decode(bits, mantissaBits: 3, bias: 7);

    /// <summary>5 exponent bits with bias 15: the upper half of a float16.</summary>
    public static float FromE5M2(byte bits) => (float)BitConverter.UInt16BitsToHalf((ushort)(bits << 8));

    private static float Decode(byte bits, int mantissaBits, int bias)
    {
        var exponent = (bits & 0x7F) >> mantissaBits;
        var mantissa = bits & ((1 << mantissaBits) - 1);
        var magnitude = exponent == 0
            ? float.ScaleB(mantissa, 1 - bias - mantissaBits)
            : float.ScaleB((1 << mantissaBits) + mantissa, exponent - bias - mantissaBits);
        return (bits & 0x80) != 0 ? -magnitude : magnitude;
    }
}
