using System.Reflection;

namespace NextPatch.Models;

/// <summary>The thousand classes of ImageNet-1k (ILSVRC 2012) in their usual order, each with its synonyms: "tench, Tinca tinca".</summary>
internal static class ImageNetClasses
{
    private const string Resource = "imagenet-classes.txt";

    private static readonly Lazy<IReadOnlyList<string>> All = new(Read);

    public static IReadOnlyList<string> Names => All.Value;

    /// <summary>The names for weights that carry none: a thousand classes are taken for those of ImageNet-1k, others stay nameless.</summary>
    public static IReadOnlyList<string> For(int classCount) => classCount == Names.Count ? Names : [];

    private static string[] Read()
    {
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(Resource)!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
    }
}
