using NextPatch.Torch.Tokenizer;

namespace NextPatch.Cli.Benchmarking;

/// <summary>What <c>bench encode</c> measures.</summary>
/// <param name="CreateTokenizer">Makes the tokenizer; called twice.</param>
/// <param name="Images">Images per round.</param>
/// <param name="Rounds">Repetitions of everything.</param>
/// <param name="BatchSize">Squares per call of the network; null = what suits the tokenizer.</param>
/// <param name="IsBf16">Precision of the encoder that is compared with the published way.</param>
internal sealed record EncodeBenchPlan(Func<VqTokenizer> CreateTokenizer, int Images, int Rounds, int? BatchSize, bool IsBf16);
