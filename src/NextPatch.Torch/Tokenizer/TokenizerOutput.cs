using static TorchSharp.torch;

namespace NextPatch.Torch.Tokenizer;

/// <summary>What a training pass of the tokenizer gives; every tensor belongs to the caller's dispose scope.</summary>
/// <param name="Images">Reconstructions, float [B, 3, H, W], not clamped.</param>
/// <param name="Latents">What is compared with the codebook, not normalised, float [B, W, h, w].</param>
/// <param name="Codes">int64 [B, T].</param>
/// <param name="CodebookLoss">Scalar.</param>
/// <param name="CommitmentLoss">Scalar, weighted.</param>
/// <param name="EntropyLoss">Scalar, weighted.</param>
public readonly record struct TokenizerOutput(
    Tensor Images, Tensor Latents, Tensor Codes, Tensor CodebookLoss, Tensor CommitmentLoss, Tensor EntropyLoss)
{
    /// <summary>Scalar: what quantisation adds to the training loss.</summary>
    public Tensor QuantizationLoss()
    {
        using var quantization = CodebookLoss + CommitmentLoss;
        return quantization + EntropyLoss;
    }
}
