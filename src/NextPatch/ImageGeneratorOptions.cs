using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;

namespace NextPatch;

/// <summary>How <see cref="ImageGenerator.Load(string, ImageGeneratorOptions?)"/> opens a model.</summary>
public sealed record ImageGeneratorOptions
{
    /// <summary>
    /// Tokenizer folder, or a weights file in the published layout (<c>vq_ds16_c2i.pt</c>); null = <c>tokenizer/</c> in or beside the run.
    /// </summary>
    public string? Tokenizer { get; init; }

    /// <summary>Which weights, where there is a choice: by default the EMA weights where there are any.</summary>
    public WeightsKind Weights { get; init; } = WeightsKind.Auto;

    /// <summary>Side of the images in pixels, 16 per code, for files that do not say it; null = 256.</summary>
    public int? ImageSize { get; init; }

    /// <summary>
    /// How the transformer's weights are kept: <see cref="ComputePrecision.Bf16"/> halves, <see cref="ComputePrecision.Int8"/> quarters memory and
    /// time per code. With NextPatch.Torch bf16 is also the arithmetic, slow on processors without such instructions, and int8 does not exist.
    /// </summary>
    public ComputePrecision Precision { get; init; }

    /// <summary>
    /// The text encoder of a model that captions condition: weights of a T5 (for published models flan-t5-xl), or "formula"; null = the one that
    /// the run remembers.
    /// </summary>
    public string? TextEncoder { get; init; }

    /// <summary>Its SentencePiece model; null = <c>spiece.model</c> beside its weights.</summary>
    public string? TextTokenizer { get; init; }

    /// <summary>Whether prompts are cleaned as published captions were; null = as the run's captions were, else yes.</summary>
    public bool? CleansPrompts { get; init; }

    /// <summary>Receives sentences for the person who waits, such as that a prompt was cut. Called from any thread.</summary>
    public Action<string>? OnNote { get; init; }

    /// <summary>What computes; null = C# alone (NextPatch.Cpu); NextPatch.Torch has another.</summary>
    public IComputeBackend? Backend { get; init; }
}
