namespace NextPatch.Training.Tokenizer;

/// <summary>How well held-out images come back.</summary>
/// <param name="Psnr">Peak signal to noise ratio over all their pixels, dB.</param>
/// <param name="CodebookUsage">Share of the codebook that they use.</param>
/// <param name="Perplexity">exp(entropy) of their codes.</param>
public sealed record TokenizerValidation(double Psnr, double CodebookUsage, double Perplexity);
