namespace NextPatch.Core.Tensors;

/// <summary>Element types of stored tensors.</summary>
public enum ElementType
{
    /// <summary>One byte, 0 or 1.</summary>
    Bool,
    /// <summary>Byte.</summary>
    UInt8,
    /// <summary>Signed byte.</summary>
    Int8,
    /// <summary>16-bit signed integer.</summary>
    Int16,
    /// <summary>16-bit unsigned integer.</summary>
    UInt16,
    /// <summary>32-bit signed integer.</summary>
    Int32,
    /// <summary>32-bit unsigned integer.</summary>
    UInt32,
    /// <summary>64-bit signed integer.</summary>
    Int64,
    /// <summary>64-bit unsigned integer.</summary>
    UInt64,
    /// <summary>IEEE half precision.</summary>
    Float16,
    /// <summary>The upper half of a float32.</summary>
    BFloat16,
    /// <summary>IEEE single precision.</summary>
    Float32,
    /// <summary>IEEE double precision.</summary>
    Float64,

    /// <summary>8 bits: sign, 4 exponent, 3 mantissa; no infinities (PyTorch's float8_e4m3fn).</summary>
    Float8E4M3,

    /// <summary>8 bits: sign, 5 exponent, 2 mantissa, as IEEE (PyTorch's float8_e5m2).</summary>
    Float8E5M2,

    /// <summary>Two float32: real, imaginary.</summary>
    Complex64,

    /// <summary>Two float64: real, imaginary.</summary>
    Complex128,
}

internal static class ElementTypes
{
#pragma warning disable CA1308 // The names of NumPy and PyTorch are lower case.
    /// <summary>As NumPy and PyTorch call it: float32, uint16.</summary>
    public static string NameOf(ElementType type) => type.ToString().ToLowerInvariant();
#pragma warning restore CA1308

    /// <summary>Bytes per element.</summary>
    public static int Size(this ElementType type) => type switch
    {
        ElementType.Bool or ElementType.UInt8 or ElementType.Int8 or ElementType.Float8E4M3 or ElementType.Float8E5M2 => 1,
        ElementType.Int16 or ElementType.UInt16 or ElementType.Float16 or ElementType.BFloat16 => 2,
        ElementType.Int32 or ElementType.UInt32 or ElementType.Float32 => 4,
        ElementType.Int64 or ElementType.UInt64 or ElementType.Float64 or ElementType.Complex64 => 8,
        ElementType.Complex128 => 16,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "unknown element type"),
    };

    /// <summary>Whether elements are real numbers with a fraction, which may be converted to another such type.</summary>
    public static bool IsFloating(this ElementType type)
        => type is ElementType.Float16 or ElementType.BFloat16 or ElementType.Float32 or ElementType.Float64
        or ElementType.Float8E4M3 or ElementType.Float8E5M2;

    /// <summary>Whether elements are whole numbers; truth values are not.</summary>
    public static bool IsInteger(this ElementType type)
        => type is ElementType.UInt8 or ElementType.Int8 or ElementType.UInt16 or ElementType.Int16 or ElementType.UInt32 or ElementType.Int32
        or ElementType.UInt64 or ElementType.Int64;
}
