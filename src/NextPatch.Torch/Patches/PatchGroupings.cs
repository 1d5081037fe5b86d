using System.Collections.Concurrent;
using NextPatch.Core;
using NextPatch.Core.Patches;

namespace NextPatch.Torch.Patches;

/// <summary>The groupings that a run can name in its settings. Safe for several threads.</summary>
public static class PatchGroupings
{
    /// <summary>The published one.</summary>
    public const string Mean = "mean";

    private static readonly ConcurrentDictionary<string, Func<PatchGeometry, IPatchGrouping>> Known = new(StringComparer.Ordinal)
    {
        [Mean] = g => new MeanPatchGrouping(g),
        ["sum"] = g => new LinearPatchGrouping(g, Ones(g)),
        ["scaled-mean"] = g => new LinearPatchGrouping(g, Ones(g), 1f / g.PatchSide), // p times the mean: of the size of one code's embedding
        ["max"] = g => new MaxPatchGrouping(g),
        ["centre"] = g => new LinearPatchGrouping(g, Centre(g)),
    };

    /// <summary>In alphabetical order.</summary>
    public static IReadOnlyList<string> Names => [.. Known.Keys.Order(StringComparer.Ordinal)];

    /// <summary>Adds a grouping, for this process.</summary>
    /// <param name="name">What settings call it.</param>
    /// <param name="create">Makes it for a division of the grid; asked once per patch side above 1.</param>
    /// <exception cref="ArgumentException">The name is taken.</exception>
    public static void Register(string name, Func<PatchGeometry, IPatchGrouping> create)
    {
        if (!Known.TryAdd(name, create))
        {
            throw new ArgumentException($"There is a grouping '{name}' already.", nameof(name));
        }
    }

    /// <exception cref="ConfigException">The name is unknown.</exception>
    public static IPatchGrouping Create(string name, PatchGeometry geometry) => Known.TryGetValue(name, out var create)
        ? create(geometry)
        : throw new ConfigException(
            $"There is no grouping '{name}'. Known: {string.Join(", ", Names)}; a program adds its own with PatchGroupings.Register.");

    /// <summary>Whether the fused step computes a grouping.</summary>
    /// <exception cref="ConfigException">The name is unknown.</exception>
    public static bool IsLinear(string name) => Create(name, new PatchGeometry(2, 2)) is LinearPatchGrouping;

    private static float[] Ones(PatchGeometry geometry) => [.. Enumerable.Repeat(1f, geometry.CodesPerPatch)];

    /// <summary>Only the code in row p / 2, column p / 2 of the patch.</summary>
    private static float[] Centre(PatchGeometry geometry)
    {
        var factors = new float[geometry.CodesPerPatch];
        factors[(geometry.PatchSide / 2 * geometry.PatchSide) + (geometry.PatchSide / 2)] = 1;
        return factors;
    }
}
