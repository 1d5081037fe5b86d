using NextPatch.Core;
using NextPatch.Evaluation.Networks;

namespace NextPatch.Evaluation.Protocol;

/// <summary>Which metrics are computed, as a person asks for them: <c>fd,fid,sfid,is,precision,recall,kid</c>.</summary>
internal static class MetricChoice
{
    /// <summary>The network whose Fréchet distance is called FID.</summary>
    public const string FidNetwork = FeatureNetworks.Inception;

    private static readonly IReadOnlyDictionary<string, EvaluationMetric> Names = new Dictionary<string,
        EvaluationMetric>(StringComparer.OrdinalIgnoreCase)
    {
        ["fd"] = EvaluationMetric.Fd, ["fid"] = EvaluationMetric.Fid, ["sfid"] = EvaluationMetric.Sfid, ["is"] = EvaluationMetric.InceptionScore,
        ["precision"] = EvaluationMetric.Precision, ["recall"] = EvaluationMetric.Recall, ["kid"] = EvaluationMetric.Kid,
    };

    /// <summary>Splits a list such as "fid,is".</summary>
    /// <param name="text">Null: not chosen.</param>
    /// <returns>Null where not chosen: whatever network and reference allow.</returns>
    /// <exception cref="ConfigException">A name is unknown.</exception>
    public static IReadOnlySet<EvaluationMetric>? Parse(string? text)
    {
        if (text is null)
        {
            return null;
        }

        var names = text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        var unknown = names.Where(n => !Names.ContainsKey(n)).ToArray();
        return unknown.Length == 0 && names.Length > 0
            ? names.Select(n => Names[n]).ToHashSet()
            : throw new ConfigException(
                $"'{(unknown.Length > 0 ? unknown[0] : text)}' is no metric; choose among {string.Join(", ", Names.Keys)}, separated by commas.");
    }

    /// <summary>As <see cref="Parse"/> reads it.</summary>
    public static string NameOf(EvaluationMetric metric) => Names.First(p => p.Value == metric).Key;

    /// <summary>What will be computed.</summary>
    /// <param name="asked">What was asked for; null = everything that is possible.</param>
    /// <param name="network">FID and its kin need the FID Inception network.</param>
    /// <param name="reference">The reference; precision, recall and kernel distance need images of it.</param>
    /// <exception cref="ConfigException">Something was asked for that is impossible; every problem is listed.</exception>
    public static IReadOnlySet<EvaluationMetric> Resolve(
        IReadOnlySet<EvaluationMetric>? asked, IFeatureNetwork network, EvaluationReference reference)
    {
        var obstacles = Names.Values.ToDictionary(m => m, m => Obstacle(m, network) ?? Obstacle(m, reference));
        var problems = (asked ?? new HashSet<EvaluationMetric>()).Select(m => obstacles[m]).OfType<string>().ToArray();
        return problems.Length > 0
            ? throw new ConfigException(problems) { Settings = ["Network"] }
            : asked ?? Names.Values.Where(m => obstacles[m] is null).ToHashSet();
    }

    /// <summary>Whether features of reference images are of use.</summary>
    public static bool NeedsImages(IReadOnlySet<EvaluationMetric>? asked)
        => asked is null || asked.Overlaps([EvaluationMetric.Precision, EvaluationMetric.Recall, EvaluationMetric.Kid]);

    /// <summary>Refuses at once what no reference makes possible under a network.</summary>
    /// <param name="asked">What was asked for; null = everything that is possible.</param>
    /// <param name="network">FID and its kin need the FID Inception network.</param>
    /// <exception cref="ConfigException">Something was asked for that is impossible; every problem is listed.</exception>
    public static void RequireNetwork(IReadOnlySet<EvaluationMetric>? asked, IFeatureNetwork network)
    {
        if (asked?.Select(metric => Obstacle(metric, network)).OfType<string>().ToArray() is { Length: > 0 } problems)
        {
            throw new ConfigException(problems) { Settings = ["Network"] };
        }
    }

    private static string? Obstacle(EvaluationMetric metric, IFeatureNetwork network) => metric switch
    {
        EvaluationMetric.Fid when network.Name != FidNetwork
            => $"FID is a distance in the features of the FID Inception network (Network {FidNetwork}); in those of {network.Name} it is "
                + $"FD-{network.Name}: ask for fd.",
        EvaluationMetric.Sfid when network.SpatialCount
            == 0 => $"{network.Name} has no spatial features, so there is no sFID; leave sfid out, or choose Network {FidNetwork}.",
        EvaluationMetric.InceptionScore when network.ClassCount < 2 =>
            $"{network.Name} knows no classes, so there is no Inception Score; leave is out, or choose Network {FidNetwork}.",
        _ => null,
    };

    private static string? Obstacle(EvaluationMetric metric, EvaluationReference reference) => metric switch
    {
        EvaluationMetric.Sfid when reference.Spatial
            is null => $"The reference {reference.Origin.Name} holds no statistics of spatial features (mu_s, sigma_s); leave sfid out, or name a "
            + $"reference of images.",
        EvaluationMetric.Precision or EvaluationMetric.Recall or EvaluationMetric.Kid when reference.Images is null
            => $"The reference {reference.Origin.Name} holds statistics without images; {metric.ToString().ToLowerInvariant()} compares images "
                + $"with images. Name a reference of images, or leave it out.",
        _ => null,
    };
}
