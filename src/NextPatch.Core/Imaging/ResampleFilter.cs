namespace NextPatch.Core.Imaging;

/// <summary>How Pillow weighs source pixels when it resizes.</summary>
public enum ResampleFilter
{
    /// <summary>The mean of the pixels that an output pixel covers.</summary>
    Box,

    /// <summary>Cubic convolution with a = -0.5, widened by the factor of reduction (antialiased).</summary>
    Bicubic,
}
