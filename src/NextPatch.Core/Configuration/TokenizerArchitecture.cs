namespace NextPatch.Core.Configuration;

/// <summary>The networks a VQ tokenizer may be made of.</summary>
public enum TokenizerArchitecture
{
    /// <summary>Strided convolutions and few residual blocks: for small images, trained in seconds on a CPU.</summary>
    Small,

    /// <summary>The encoder and decoder of VQGAN (arXiv 2012.09841) as LlamaGen publishes them: residual blocks, attention at the
    /// lowest resolution. State keys and shapes are the published ones.</summary>
    Vqgan,
}
