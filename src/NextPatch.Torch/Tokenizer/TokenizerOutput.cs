using static TorchSharp.torch;

namespace NextPatch.Torch.Tokenizer;

/// <summary>What a training pass of the tokenizer gives; every tensor belongs to the caller's dispose scope.</summary>
/// <param name="Images">Reconstructions, float [B, 3, S, S], not clamped.</param>
/// <param name="Latents">Encoder output, not normalised, float [B, W, g, g].</param>
/// <param name="Codes">int64 [B, T].</param>
/// <param name="QuantizationLoss">Scalar: codebook loss + weight x commitment loss.</param>
public readonly record struct TokenizerOutput(Tensor Images, Tensor Latents, Tensor Codes, Tensor QuantizationLoss);
