using System.Globalization;
using System.Text.RegularExpressions;

namespace NextPatch.Evaluation.Wise;

/// <summary>What WISE asks about.</summary>
internal enum WiseCategory
{
    Culture,
    Time,
    Space,
    Biology,
    Physics,
    Chemistry,
}

/// <summary>What a judge says of one image.</summary>
/// <param name="Consistency">With the prompt, 0 to 2; of the verified benchmark the only one, 0 or 1.</param>
/// <param name="Realism">0 to 2; null in the verified benchmark.</param>
/// <param name="AestheticQuality">0 to 2; null in the verified benchmark.</param>
internal readonly record struct WiseVerdict(int Consistency, int? Realism, int? AestheticQuality);

/// <summary>The arithmetic of WISE (arXiv 2503.07265): the score of an image, the means of categories, the whole.</summary>
/// <remarks>
/// First benchmark: WiScore = (0.7 consistency + 0.2 realism + 0.1 aesthetic quality) / 2, overall 0.4 culture + 0.167 time + 0.133 space + 0.1 of
/// each science. WISE_Verified (April 2026): one binary score, overall 0.40 culture + 0.12 of each other category.
/// </remarks>
internal static partial class WiseScores
{
    public const int LastId = 1000;

    private static readonly (int LastId, double Weight, double VerifiedWeight)[] Categories =
        [(400, 0.4, 0.40), (567, 0.167, 0.12), (700, 0.133, 0.12), (800, 0.1, 0.12), (900, 0.1, 0.12), (LastId, 0.1, 0.12)];

    public static bool IsKnown(int id) => id is >= 1 and <= LastId;

    /// <summary>Category by number.</summary>
    public static WiseCategory CategoryOf(int id) => (WiseCategory)Array.FindIndex(Categories, category => id <= category.LastId);

    /// <summary>Share of a category in the overall score.</summary>
    public static double WeightOf(WiseCategory category, bool isVerified)
        => isVerified ? Categories[(int)category].VerifiedWeight : Categories[(int)category].Weight;

    /// <summary>The score of one image, 0 to 1.</summary>
    public static double Of(WiseVerdict verdict, bool isVerified) => isVerified
        ? verdict.Consistency
        : ((0.7 * verdict.Consistency) + (0.2 * verdict.Realism!.Value) + (0.1 * verdict.AestheticQuality!.Value)) / 2;

    /// <summary>Mean of each category that has judged images, and the whole where all six are complete.</summary>
    /// <param name="prompts">All that should be judged.</param>
    /// <param name="verdicts">By prompt.</param>
    /// <param name="isVerified">Which benchmark.</param>
    public static WiseSummary Summarize(IReadOnlyList<WisePrompt> prompts, IReadOnlyDictionary<int, WiseVerdict> verdicts, bool isVerified)
    {
        var means = prompts.Where(prompt => verdicts.ContainsKey(prompt.Id)).GroupBy(prompt => prompt.Category)
            .ToDictionary(group => group.Key, group => group.Average(prompt => Of(verdicts[prompt.Id], isVerified)));
        var judged = prompts.Count(prompt => verdicts.ContainsKey(prompt.Id));
        return new WiseSummary
        {
            IsVerified = isVerified,
            Categories = new SortedDictionary<string, double>(means.ToDictionary(p => p.Key.ToString(), p => p.Value), StringComparer.Ordinal),
            Overall = judged == prompts.Count && means.Count == Categories.Length
                ? means.Sum(p => WeightOf(p.Key, isVerified) * p.Value)
                : null,
            Judged = judged,
            Missing = prompts.Count - judged,
        };
    }

    /// <summary>What a judge wrote, as scores; null where it says none.</summary>
    public static WiseVerdict? Parse(string reply, bool isVerified)
    {
        if (isVerified)
        {
            return Number(Binary().Match(reply)) is { } score ? new WiseVerdict(score, null, null) : null;
        }

        return (Number(Consistency().Match(reply)), Number(Realism().Match(reply)), Number(Aesthetic().Match(reply))) is ({ } c, { } r, { } a)
            ? new WiseVerdict(c, r, a)
            : null;
    }

    private static int? Number(Match match) => match.Success ? int.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture) : null;

    [GeneratedRegex(@"consistency\W{0,6}([0-2])(?![\d.])", RegexOptions.IgnoreCase)]
    private static partial Regex Consistency();

    [GeneratedRegex(@"realism\W{0,6}([0-2])(?![\d.])", RegexOptions.IgnoreCase)]
    private static partial Regex Realism();

    [GeneratedRegex(@"aesthetic[ _]quality\W{0,6}([0-2])(?![\d.])", RegexOptions.IgnoreCase)]
    private static partial Regex Aesthetic();

    [GeneratedRegex(@"score\W{0,6}([01])(?![\d.])", RegexOptions.IgnoreCase)]
    private static partial Regex Binary();
}

/// <summary>The figures of WISE.</summary>
internal sealed record WiseSummary
{
    /// <summary>Whether it is WISE_Verified; else the first benchmark (WiScore).</summary>
    public required bool IsVerified { get; init; }

    /// <summary>Mean score by category, 0 to 1, of the images that were judged.</summary>
    public required IReadOnlyDictionary<string, double> Categories { get; init; }

    /// <summary>The weighted whole; null unless every prompt of all six categories was judged.</summary>
    public required double? Overall { get; init; }

    /// <summary>Images with a verdict.</summary>
    public required int Judged { get; init; }

    /// <summary>Prompts without one.</summary>
    public required int Missing { get; init; }

    /// <summary>Prompts without an image.</summary>
    public int WithoutImage { get; init; }

    /// <summary>Images of which the judge said nothing usable, after all tries.</summary>
    public int Failed { get; init; }
}
