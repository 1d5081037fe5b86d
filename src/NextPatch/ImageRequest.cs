using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Core.Sampling;
using NextPatch.Models;

namespace NextPatch;

/// <summary>
/// Images to draw. Image k depends on its class, <see cref="FirstIndex"/> + k, the seed and the rules, and on nothing else. The defaults are those of
/// <c>nextpatch sample</c>.
/// </summary>
public sealed record ImageRequest
{
    private static readonly SamplingConfig Defaults = new();
    private readonly int? _count;

    /// <summary>
    /// Classes by number, name, synonym or the beginning of one; images take them in turn. "all" = every class, the default. Models that captions
    /// condition have none.
    /// </summary>
    public IReadOnlyList<string> Classes { get; init; } = [ClassChoice.All];

    /// <summary>
    /// Prompts of a model that captions condition, of which images take theirs in turn; null for a model of classes. They go through the text
    /// encoder that the model was trained with.
    /// </summary>
    public IReadOnlyList<string>? Prompts { get; init; }

    /// <summary>Number of images, at least 1; by default one per prompt, or 16.</summary>
    public int Count
    {
        get => _count ?? Prompts?.Count ?? 16;
        init => _count = value;
    }

    /// <summary>Seed of all random numbers.</summary>
    public ulong Seed { get; init; }

    /// <summary>Index of the first image, so that a large set can be drawn in parts.</summary>
    public long FirstIndex { get; init; }

    /// <summary>Whether there must be as many images of each class.</summary>
    public bool Balanced { get; init; }

    /// <summary>Whether the class of each image is drawn, as the published sampler does, instead of coming in turn.</summary>
    public bool RandomClasses { get; init; }

    /// <summary>Classifier-free guidance, at least 0; at most 1 = none. Null: 2, or 1 where the model has no null class.</summary>
    public double? GuidanceScale { get; init; }

    /// <summary>How the scale moves over the image.</summary>
    public GuidanceShape GuidanceShape { get; init; } = Defaults.GuidanceShape;

    /// <summary>Exponent of <see cref="GuidanceShape.Power"/>, above 0.</summary>
    public double GuidancePower { get; init; } = Defaults.GuidancePower;

    /// <summary>Guide only up to this decode step; -1 = always.</summary>
    public int GuidanceInterval { get; init; } = Defaults.GuidanceInterval;

    /// <summary>Softmax temperature, at least 0; below 1 = safer, above 1 = more varied.</summary>
    public double Temperature { get; init; } = Defaults.Temperature;

    /// <summary>Draw among the k most probable codes; 0 = all.</summary>
    public int TopK { get; init; } = Defaults.TopK;

    /// <summary>Draw among the most probable codes that make up this probability, 0 to 1; 1 = all.</summary>
    public double TopP { get; init; } = Defaults.TopP;

    /// <summary>Whether the most probable code is taken instead of drawing one.</summary>
    public bool Greedy { get; init; }

    /// <summary>
    /// Codes that stay in every image, [T] row-major over the grid, -1 where one is drawn; null: all are drawn. <see cref="ImageTokenizer"/> gives
    /// those of a picture. What stays right of a drawn code and below is not seen as that code is drawn.
    /// </summary>
    public IReadOnlyList<int>? GivenCodes { get; init; }

    /// <summary>The same for a model: its labels or prompts, and its rules.</summary>
    /// <param name="model">Its configuration.</param>
    /// <param name="encode">Gives the features of prompts; null where nothing does.</param>
    /// <exception cref="ConfigException">An unknown class, no prompts where there must be some, or a value out of range.</exception>
    internal GenerationRequest For(CheckpointConfig model, Func<IReadOnlyList<string>, IReadOnlyList<PromptFeatures>>? encode = null) => new()
    {
        Labels = ClassChoice.Labels(Classes, Count, model, Balanced, RandomClasses ? Seed : null),
        Prompts = PromptChoice.Of(Prompts, Classes, Count, model, encode),
        Seed = Seed,
        FirstIndex = FirstIndex >= 0 ? FirstIndex : throw new ConfigException($"FirstIndex {FirstIndex} must be at least 0."),
        GivenCodes = GivenCodes is null ? null : [.. Enumerable.Repeat(GivenCodes, Count).SelectMany(codes => codes)],
        Sampling = new SamplingConfig
        {
            GuidanceScale = GuidanceScale ?? (model.Model.HasNullClass ? Defaults.GuidanceScale : 1),
            GuidanceShape = GuidanceShape,
            GuidancePower = GuidancePower,
            GuidanceInterval = GuidanceInterval,
            Temperature = Temperature,
            TopK = TopK,
            TopP = TopP,
            Greedy = Greedy,
        }.Validated(),
    };
}
