using NextPatch.Core.Sampling;

namespace NextPatch.Evaluation.Protocol;

/// <summary>How a model drew a set of images.</summary>
/// <param name="Seed">Seed of the images.</param>
/// <param name="Sampling">Guidance and filters.</param>
/// <param name="ModelHash">SHA-256 of the weights, lower-case hexadecimal.</param>
/// <param name="Weights">ema or model.</param>
public sealed record Drawing(ulong Seed, SamplingConfig Sampling, string ModelHash, string Weights);
