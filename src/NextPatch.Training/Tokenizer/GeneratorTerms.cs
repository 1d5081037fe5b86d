using static TorchSharp.torch;

namespace NextPatch.Training.Tokenizer;

/// <summary>The parts of the generator's loss; scalars in the caller's dispose scope.</summary>
/// <param name="Total">What is minimised.</param>
/// <param name="SquaredError">Mean squared difference of pixels, without gradient; images span 2.</param>
/// <param name="Reconstruction">Mean difference of pixels as it is weighted.</param>
/// <param name="Perceptual">Mean perceptual distance, not weighted; null without its weights.</param>
/// <param name="Adversarial">Generator loss, not weighted; null where the discriminator takes no part.</param>
/// <param name="AdaptiveWeight">1 where it is off; null where the discriminator takes no part.</param>
public readonly record struct GeneratorTerms(Tensor Total, Tensor SquaredError, Tensor Reconstruction, Tensor? Perceptual, Tensor? Adversarial, Tensor? AdaptiveWeight);
