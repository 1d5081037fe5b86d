using NextPatch.Core.Generation;
using NextPatch.Core.Sampling;

namespace NextPatch.Cpu.Generation;

/// <summary>One image to draw.</summary>
/// <param name="Label">Its class.</param>
/// <param name="Image">Its index: which random numbers it takes.</param>
/// <param name="Seed">Of the random numbers.</param>
/// <param name="Sampling">Rules.</param>
/// <param name="Given">[T] codes that are not drawn, -1 where one is; empty: all are drawn.</param>
/// <param name="Prompt">Of a model that captions condition.</param>
internal readonly record struct SequenceRequest(
    int Label, long Image, ulong Seed, SamplingConfig Sampling, ReadOnlyMemory<int> Given = default, PromptFeatures? Prompt = null);
