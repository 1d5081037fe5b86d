using System.Text.Json.Nodes;
using NextPatch.Core;
using NextPatch.Core.Tensors;

namespace NextPatch.Goldens;

/// <summary>Weights given by a hash of (tensor, element, seed) instead of a file; the formula is in the description's "doc".</summary>
internal static class FormulaWeights
{
    /// <param name="description">A <c>*.weights.json</c>.</param>
    /// <returns>Tensors by name, checked against the recorded first values and sums.</returns>
    public static IReadOnlyDictionary<string, HostTensor> Make(JsonNode description)
    {
        var seed = (uint)(long)description["seed"]!;
        return description["tensor_order"]!.AsArray().ToDictionary(entry => (string)entry!["name"]!, entry => Make(entry!, seed));
    }

    private static HostTensor Make(JsonNode entry, uint seed)
    {
        var shape = entry["shape"]!.AsArray().Select(e => (long)e!).ToArray();
        var (offset, scale) = ((double)entry["offset"]!, (double)entry["scale"]!);
        var constant = unchecked(((uint)(long)entry["index"]! * 2891336453u) + (seed * 277803737u));
        var values = new float[HostTensor.CountElements(shape)];
        for (var i = 0u; i < values.Length; i++)
        {
            values[i] = (float)(offset + (scale * ((2 * Uniform(unchecked((i * 747796405u) + constant))) - 1)));
        }

        var first = entry["first"]!.AsArray().Select(v => (float)(double)v!);
        return first.SequenceEqual(values.Take(2)) || values.Length < 2
            ? HostTensor.FromSingles(shape, values)
            : throw new NextPatchException(
                $"The formula of '{entry["name"]}' gives {values[0]}, {values[1]} but {entry["first"]!.ToJsonString()} was recorded.");
    }

    private static double Uniform(uint x)
    {
        unchecked
        {
            x ^= x >> 16;
            x *= 0x7feb352d;
            x ^= x >> 15;
            x *= 0x846ca68b;
            x ^= x >> 16;
        }

        return (x >> 8) / 16777216.0;
    }
}
