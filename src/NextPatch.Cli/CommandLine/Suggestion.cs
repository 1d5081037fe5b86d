using NextPatch.Core;

namespace NextPatch.Cli.CommandLine;

/// <summary>What a mistyped word was probably to be.</summary>
internal static class Suggestion
{
    /// <summary>The nearest word: the only one that begins so, or one of few other letters; null where none is near.</summary>
    public static string? For(string word, IEnumerable<string> known)
    {
        var words = known.ToList();
        if (words.FindAll(k => word.Length > 2 && k.StartsWith(word, StringComparison.OrdinalIgnoreCase)) is [var only])
        {
            return only;
        }

        var nearest = words.MinBy(k => EditDistance.Between(k, word));
        var length = word.AsSpan().TrimStart('-').Length;
        return nearest is not null && EditDistance.Between(nearest, word) <= Math.Min(Math.Max(2, length / 3), length - 1) ? nearest : null;
    }
}
