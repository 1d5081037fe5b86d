using System.Text.Json.Nodes;

namespace NextPatch.Goldens;

/// <summary>How far apart two numbers may lie: |a - b| at most <paramref name="Absolute"/> + <paramref name="Relative"/> * |b|.</summary>
internal readonly record struct Tolerance(double Absolute, double Relative)
{
    public static Tolerance Exact => default;

    /// <summary>Reads {"atol": …, "rtol": …}; a missing part is 0, and prose ("exact …") means equality.</summary>
    public static Tolerance Parse(JsonNode? node) => node is JsonObject o
        ? new Tolerance(o["atol"] is { } a ? (double)a : 0, o["rtol"] is { } r ? (double)r : 0)
        : Exact;
}
