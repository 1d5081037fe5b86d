using System.Reflection;

namespace NextPatch.Models;

/// <summary>The thousand classes of ImageNet-1k (ILSVRC 2012) in their usual order, each with its synonyms: "tench, Tinca tinca".</summary>
internal static class ImageNetClasses
{
    private static readonly Lazy<IReadOnlyList<string>> All = new(() => Read("imagenet-classes.txt"));

    // WordNet 3.0 numbers of nouns, by which the folders of ImageNet are called, in the order of the classes.
    private static readonly Lazy<IReadOnlyDictionary<string, string>> ById
        = new(() => Read("imagenet-ids.txt").Zip(Names).ToDictionary(p => p.First, p => p.Second));

    public static IReadOnlyList<string> Names => All.Value;

    /// <summary>The names for weights that carry none: a thousand classes are taken for those of ImageNet-1k, others stay nameless.</summary>
    public static IReadOnlyList<string> For(int classCount) => classCount == Names.Count ? Names : [];

    /// <summary>The name behind an id of ImageNet (n01440764: "tench, Tinca tinca"); anything else is its own name.</summary>
    public static string NameOf(string name) => name.Length == 9 && name[0] == 'n' ? ById.Value.GetValueOrDefault(name, name) : name;

    private static string[] Read(string resource)
    {
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(resource)!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
    }
}
