using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Sampling;

namespace NextPatch.Models;

/// <summary>Which class each of many images is of.</summary>
internal static class ClassChoice
{
    /// <summary>Every class.</summary>
    public const string All = "all";

    /// <summary>One label per image: the classes asked for, in turn or drawn; zeros where captions condition the model.</summary>
    /// <param name="classes">By number or name; "all" for every class.</param>
    /// <param name="count">Number of images.</param>
    /// <param name="config">The model's.</param>
    /// <param name="isBalanced">Whether there must be as many of each class.</param>
    /// <param name="randomSeed">Draws the classes; null: they come in turn.</param>
    /// <exception cref="ConfigException">No images, an unknown class, or a count that cannot be balanced.</exception>
    public static int[] Labels(IReadOnlyList<string> classes, int count, CheckpointConfig config, bool isBalanced = false, ulong? randomSeed = null)
    {
        if (isBalanced && randomSeed is not null)
        {
            throw Wrong("Balanced and RandomClasses exclude each other: drawn classes are not equally many.");
        }

        if (count < 1)
        {
            throw Wrong($"Count {count} must be at least 1.");
        }

        if (config.Model.Text is not null)
        {
            return new int[count]; // prompts say what is drawn
        }

        if (classes.Count == 0)
        {
            throw Wrong("Classes is empty; name some, or 'all'.");
        }

        var lookup = new ClassLookup(config.ClassNames, config.Model.ClassCount);
        var chosen = classes.SelectMany(name => name == All ? Enumerable.Range(0, config.Model.ClassCount) : [lookup.Find(name)]).ToArray();
        if (randomSeed is { } seed)
        {
            var random = new CounterRandom(seed, RandomStream.Labels);
            return [.. Enumerable.Range(0, count).Select(i => chosen[random.Below(chosen.Length, i, 0)])];
        }

        return !isBalanced || count % chosen.Length == 0
            ? [.. Enumerable.Range(0, count).Select(i => chosen[i % chosen.Length])]
            : throw Wrong(
                $"Count {count} cannot be the same for each of {chosen.Length} classes; with Balanced ask for a multiple, such as "
                    + $"{(count / chosen.Length * chosen.Length) + chosen.Length}.");
    }

    private static ConfigException Wrong(string message) => new(message) { Settings = ["Balanced", "RandomClasses", "Count", "Classes"] };
}
