namespace NextPatch.Core.Configuration;

/// <summary>What <c>config.json</c> of a checkpoint holds: enough to rebuild the model and to know where it came from.</summary>
public sealed record CheckpointConfig
{
    public int FormatVersion { get; init; } = 1;

    public required GptConfig Model { get; init; }

    /// <summary>Settings of the run; null for weights that were not trained here.</summary>
    public TrainingConfig? Training { get; init; }

    /// <summary>Class names by label; empty when unknown.</summary>
    public IReadOnlyList<string> ClassNames { get; init; } = [];

    /// <summary>Hash of the tokenizer's weights whose codes the model was trained on; null when unknown.</summary>
    public string? TokenizerHash { get; init; }

    /// <summary>Side of the images in pixels; null when unknown.</summary>
    public int? ImageSide { get; init; }
}
