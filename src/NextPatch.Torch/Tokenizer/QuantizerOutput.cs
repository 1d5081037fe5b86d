using static TorchSharp.torch;

namespace NextPatch.Torch.Tokenizer;

/// <summary>What quantisation of a batch gives; every tensor belongs to the caller's dispose scope.</summary>
/// <param name="Vectors">float [B, W, h, w]: code vectors whose gradient goes straight to the latents.</param>
/// <param name="Codes">int64 [B, T].</param>
/// <param name="CodebookLoss">Scalar: mean squared distance of codes to (fixed) latents.</param>
/// <param name="CommitmentLoss">Scalar: mean squared distance of latents to (fixed) codes, not yet weighted.</param>
/// <param name="EntropyLoss">Scalar, not yet weighted; 0 where its weight is 0.</param>
internal readonly record struct QuantizerOutput(Tensor Vectors, Tensor Codes, Tensor CodebookLoss, Tensor CommitmentLoss, Tensor EntropyLoss);
