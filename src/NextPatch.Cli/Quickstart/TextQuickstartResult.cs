using System.Text.Json.Serialization;
using NextPatch.Core.Configuration;
using NextPatch.Core.Sampling;
using NextPatch.Data.Sources;
using NextPatch.Training.Tokenizer;

namespace NextPatch.Cli.Quickstart;

/// <summary>Everything a quickstart of text to image computes with; the whole of it is written into the report.</summary>
internal sealed record TextQuickstartSettings
{
    public required ulong Seed { get; init; }

    public int TrainImages { get; init; } = 12_000;

    public int HeldOutImages { get; init; } = 500;

    /// <summary>Images that are drawn, and measured, of combinations that were trained on, and as many of others.</summary>
    public int SampleCount { get; init; } = 360;

    /// <summary>Condition rows; the longest caption has 12 words and signs and its end.</summary>
    public int MaxTokens { get; init; } = 16;

    public required TokenizerRunConfig TokenizerTraining { get; init; }

    public required GptConfig Model { get; init; }

    public required TrainingConfig Training { get; init; }

    public required SamplingConfig Sampling { get; init; }

    /// <summary>The settings that the README's command runs (docs/results.md).</summary>
    public static TextQuickstartSettings Create(QuickstartOptions options)
    {
        var shapes = QuickstartSettings.Create(options);
        return new TextQuickstartSettings
        {
            Seed = options.Seed,
            // Of 900 steps, which drawn classes need, reconstructions keep all four traits in 93 % (docs/log.md).
            TokenizerTraining = shapes.TokenizerTraining with { Steps = 1500 },
            Model = shapes.Model with { TokenDropout = 0, ResidualDropout = 0, FfnDropout = 0 },
            Training = shapes.Training with { Steps = 3600 },
            Sampling = new SamplingConfig { GuidanceScale = 1, Temperature = 0.7 }, // guidance takes these images apart (docs/log.md)
        };
    }
}

/// <summary>What <c>report.json</c> holds.</summary>
internal sealed record TextQuickstartResult
{
    /// <summary>Wall-clock seconds from start to report.</summary>
    public double Seconds { get; init; }

    /// <summary>What is measured of the tokenizer's reconstructions of seen and of unseen combinations.</summary>
    public required IReadOnlyList<TraitAgreement> Ceiling { get; init; }

    public required IReadOnlyList<TextQuickstartRun> Runs { get; init; }

    /// <summary>Combinations of shape, colour, size and place that were trained on.</summary>
    public required int Combinations { get; init; }

    /// <summary>Combinations that never were.</summary>
    public required int UnseenCombinations { get; init; }

    public required IReadOnlyDictionary<string, double> SecondsByPart { get; init; }

    public required string Machine { get; init; }

    public required string Version { get; init; }

    public required TextQuickstartSettings Settings { get; init; }
}

/// <summary>A model and what it draws.</summary>
internal sealed record TextQuickstartRun
{
    public required string Name { get; init; }

    /// <summary>Images of combinations that were trained on.</summary>
    public required TraitAgreement Seen { get; init; }

    /// <summary>Images of others.</summary>
    public required TraitAgreement Unseen { get; init; }

    /// <summary>At p = 1, of the average of the weights, nats per code.</summary>
    public required double HeldOutLoss { get; init; }

    public required double TrainingSeconds { get; init; }

    public required double PlannedFlops { get; init; }

    /// <summary>uint8 [N, S, S, 3] of seen and of unseen combinations.</summary>
    [JsonIgnore]
    public IReadOnlyList<byte[]> Pictures { get; init; } = [];
}

/// <summary>Shares of images that show what their captions say, measured from the pixels.</summary>
/// <param name="Shape">The named shape.</param>
/// <param name="Colour">The named colour.</param>
/// <param name="Size">The named size.</param>
/// <param name="Place">The named place.</param>
/// <param name="All">All four.</param>
internal sealed record TraitAgreement(double Shape, double Colour, double Size, double Place, double All)
{
    /// <summary>Which of an image's four traits are as its caption says.</summary>
    public static bool[] Matches(ShapeTraits expected, ReadOnlySpan<byte> pixels, int side) => ShapeReader.Read(pixels, side) is { } seen
        ? [seen.Shape == expected.Shape, seen.Colour == expected.Colour, seen.Size == expected.Size, seen.Place == expected.Place]
        : new bool[4];

    /// <param name="expected">[N].</param>
    /// <param name="pixels">uint8 [N, S, S, 3].</param>
    /// <param name="side">S.</param>
    public static TraitAgreement Measure(IReadOnlyList<ShapeTraits> expected, byte[] pixels, int side)
    {
        var bytes = side * side * 3;
        var matches = Enumerable.Range(0, expected.Count).Select(i => Matches(expected[i], pixels.AsSpan(i * bytes, bytes), side)).ToList();
        double Share(Func<bool[], bool> isRight) => Math.Round(matches.Average(m => isRight(m) ? 1.0 : 0), 4);
        return new TraitAgreement(Share(m => m[0]), Share(m => m[1]), Share(m => m[2]), Share(m => m[3]), Share(m => Array.TrueForAll(m, r => r)));
    }
}
