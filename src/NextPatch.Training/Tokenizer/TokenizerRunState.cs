using System.Text.Json.Serialization;

namespace NextPatch.Training.Tokenizer;

/// <summary>What <c>state.json</c> of a tokenizer's checkpoint holds; everything else about "when" follows from the step.</summary>
internal sealed record TokenizerRunState
{
    public int FormatVersion { get; init; } = 1;

    /// <summary>Steps done, skipped ones included.</summary>
    public required long Step { get; init; }

    /// <summary>Images seen.</summary>
    public required long Images { get; init; }

    /// <summary>Seconds spent in training steps over all sessions of the run.</summary>
    public required double Seconds { get; init; }

    /// <summary>Steps that were not taken, because a loss or gradient was not finite.</summary>
    public long SkippedSteps { get; init; }

    /// <summary>Skipped steps in a row up to <see cref="Step"/>.</summary>
    public int SkippedInARow { get; init; }

    /// <summary>Steps that the discriminator's optimiser made.</summary>
    public long DiscriminatorSteps { get; init; }

    /// <summary>Sums since the last line of metrics.</summary>
    public required TokenizerWindowSums Window { get; init; }
}

/// <summary>
/// Sums over the steps since the last line of metrics; part of the checkpoint, so that the lines of a resumed run are those of an uninterrupted one.
/// </summary>
internal sealed record TokenizerWindowSums
{
    public int Steps { get; init; }

    public double Loss { get; init; }

    public double SquaredError { get; init; }

    public double Perceptual { get; init; }

    public int Revived { get; init; }

    public TokenizerWindowSums Plus(TokenizerStepResult result) => this with
    {
        Steps = Steps + 1,
        Loss = Loss + result.Loss,
        SquaredError = SquaredError + result.SquaredError,
        Perceptual = Perceptual + (result.Perceptual ?? 0),
    };
}

/// <summary>The JSON files of a tokenizer's checkpoint, without reflection.</summary>
[JsonSourceGenerationOptions(
    AllowDuplicateProperties = false, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    WriteIndented = true,
    UseStringEnumConverter = true,
    RespectNullableAnnotations = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    IgnoreReadOnlyProperties = true)]
[JsonSerializable(typeof(TokenizerRunConfig))]
[JsonSerializable(typeof(TokenizerRunState))]
internal sealed partial class TokenizerRunJson : JsonSerializerContext;
