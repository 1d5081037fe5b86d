using static TorchSharp.torch;

namespace NextPatch.Training.Tokenizer;

/// <summary>The parts of the generator's loss; scalars in the caller's dispose scope.</summary>
/// <param name="Total">What is minimised.</param>
/// <param name="Reconstruction">Mean difference of pixels, not weighted.</param>
/// <param name="Perceptual">Mean LPIPS, not weighted; null without its weights.</param>
/// <param name="Adversarial">Generator loss, not weighted.</param>
/// <param name="AdaptiveWeight">1 where it is off.</param>
public readonly record struct GeneratorTerms(Tensor Total, Tensor Reconstruction, Tensor? Perceptual, Tensor Adversarial, Tensor AdaptiveWeight);
