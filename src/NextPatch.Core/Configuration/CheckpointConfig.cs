namespace NextPatch.Core.Configuration;

/// <summary>What <c>config.json</c> of a checkpoint holds: enough to rebuild the model and to know where it came from.</summary>
public sealed record CheckpointConfig
{
    /// <summary>The version of this file's layout.</summary>
    public int FormatVersion { get; init; } = 1;

    /// <summary>The transformer's shape.</summary>
    public required GptConfig Model { get; init; }

    /// <summary>Settings of the run; null for weights that were not trained here.</summary>
    public TrainingConfig? Training { get; init; }

    /// <summary>Class names by label; empty when unknown.</summary>
    /// <remarks>The generated reader gives null where a file does not name it, in spite of the initial value.</remarks>
    public IReadOnlyList<string> ClassNames { get; init => field = value ?? []; } = [];

    /// <summary>Hash of the tokenizer's weights whose codes the model was trained on; null when unknown.</summary>
    public string? TokenizerHash { get; init; }

    /// <summary>Full path of that tokenizer when the run began; null when unknown.</summary>
    public string? TokenizerPath { get; init; }

    /// <summary>Side of the images in pixels; null when unknown.</summary>
    public int? ImageSide { get; init; }

    /// <summary>
    /// The features of captions that the model was trained on: prompts must go through the same encoder. Null of models of classes, and when unknown.
    /// </summary>
    public IReadOnlyList<TextFeatureOrigin>? TextFeatures { get; init; }

    /// <summary>Reads the <c>config.json</c> of a checkpoint.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="NextPatchException">It is missing, or not what its name says.</exception>
    public static CheckpointConfig Read(string path) => ConfigJson.Read(path, ConfigJson.Default.CheckpointConfig);
}

/// <summary>Where features of captions come from; null where a folder of features does not say it.</summary>
public sealed record TextFeatureOrigin
{
    /// <summary>How often a training image takes its caption from these features, against other ones.</summary>
    public double Share { get; init; } = 1;

    /// <summary>Name of the encoder's file, or of its formula.</summary>
    public string? Encoder { get; init; }

    /// <summary>SHA-256 of the encoder's weights, or the name of its formula.</summary>
    public string? EncoderHash { get; init; }

    /// <summary>Full path of the encoder's weights when the features were made; null for a formula.</summary>
    public string? EncoderPath { get; init; }

    /// <summary>The same hash of its tokenizer.</summary>
    public string? TokenizerHash { get; init; }

    /// <summary>The same path of its tokenizer.</summary>
    public string? TokenizerPath { get; init; }

    /// <summary>What was done to captions first: published or none.</summary>
    public string? Clean { get; init; }

    /// <summary>Tokens that were kept of a caption.</summary>
    public int? MaxTokens { get; init; }

    /// <summary>SHA-256 of the file of captions.</summary>
    public string? CaptionsHash { get; init; }

    /// <summary>Which caption, where a line lists several.</summary>
    public int? CaptionIndex { get; init; }
}

/// <summary>What <c>state.json</c> of a checkpoint holds: where the run stood. Everything else about "when" follows from the step.</summary>
internal sealed record RunState
{
    public int FormatVersion { get; init; } = 1;

    /// <summary>Steps done, skipped ones included.</summary>
    public required long Step { get; init; }

    /// <summary>Images seen.</summary>
    public required long Images { get; init; }

    /// <summary>Seconds spent in training steps, by stage index, over all sessions of the run.</summary>
    public required IReadOnlyList<double> StageSeconds { get; init; }

    /// <summary>Seconds of the processor in training steps, of all threads and sessions; 0 in runs from before it was counted.</summary>
    public double CpuSeconds { get; init; }

    /// <summary>Optimiser steps that were made before its moments were last reset.</summary>
    public long StepsBeforeMoments { get; init; }

    /// <summary>Where a plateau of the loss stands; null where stages end where they are said to.</summary>
    public PlateauState? Plateau { get; init; }

    /// <summary>Steps that were not taken, because their loss or gradient was not finite; the optimiser made <see cref="Step"/> less these.</summary>
    public long SkippedSteps { get; init; }

    /// <summary>Skipped steps in a row up to <see cref="Step"/>.</summary>
    public int SkippedInARow { get; init; }

    /// <summary>What the run gave, once it is judged; null in checkpoints on the way.</summary>
    public RunResult? Result { get; init; }
}

/// <summary>What the search for a plateau of the held-out loss remembers.</summary>
internal sealed record PlateauState
{
    /// <summary>Steps at which coarse stages ended early, in order.</summary>
    public required IReadOnlyList<long> Ends { get; init; }

    /// <summary>The stage that the rest is of.</summary>
    public int Stage { get; init; }

    /// <summary>Loss at the last look, nats per code; null before the first of a stage.</summary>
    public double? Loss { get; init; }

    /// <summary>FLOPs until then.</summary>
    public double Flops { get; init; }

    /// <summary>The most that was gained per FLOP in this stage.</summary>
    public double BestSlope { get; init; }
}
