using System.Globalization;

namespace NextPatch.Data.Sources;

/// <summary>Files or folders of a dataset that are not used, for one reason: nothing is left out in silence.</summary>
/// <param name="Reason">Completes "left out because they": "end in .tif, which is not read".</param>
/// <param name="Count">How many.</param>
/// <param name="Example">The first of them.</param>
public sealed record LeftOutFiles(string Reason, int Count, string Example)
{
    /// <summary>All of a dataset as a sentence; null where nothing is left out.</summary>
    /// <param name="name">What the data is called.</param>
    /// <param name="leftOut">By reason.</param>
    public static string? Describe(string name, IReadOnlyList<LeftOutFiles> leftOut) => leftOut.Count == 0
        ? null
        : $"Left out of '{name}': {string.Join("; ", leftOut.Select(l => $"{l}"))}.";

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Count:N0} that {Reason} (such as {Example})");
}
