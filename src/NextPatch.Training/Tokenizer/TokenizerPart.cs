namespace NextPatch.Training.Tokenizer;

/// <summary>A part of a tokenizer that can be kept as it is while the others are trained.</summary>
public enum TokenizerPart
{
    /// <summary>From images to latents; frozen together with the codebook, codes stay what they are.</summary>
    Encoder,

    /// <summary>The vectors of the codes.</summary>
    Codebook,

    /// <summary>From codes to images.</summary>
    Decoder,
}

/// <summary>Which weights belong to which <see cref="TokenizerPart"/>.</summary>
internal static class TokenizerParts
{
    /// <summary>The part of a parameter, by its name.</summary>
    public static TokenizerPart From(string parameter) => parameter.Split('.')[0] switch
    {
        "encoder" or "quant_conv" => TokenizerPart.Encoder,
        "quantize" => TokenizerPart.Codebook,
        _ => TokenizerPart.Decoder,
    };
}
