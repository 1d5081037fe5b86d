using NextPatch.Core;
using NextPatch.Data.Containers;
using NextPatch.Data.Sources;

namespace NextPatch.Data.Datasets;

/// <summary>
/// Image files in one subfolder per class, or such folders under train/ and test/ or val/: classes and order of torchvision's ImageFolder.
/// </summary>
internal sealed class ImageTree
{
    private const int MaxReasons = 20;
    private static readonly string[] TestNames = ["test", "val", "validation"];
    private readonly IFileSet _files;
    private readonly string _place;
    private readonly IReadOnlyList<string> _extensions;
    private readonly ILookup<string, string> _foldersByParent;

    /// <param name="files">Of a folder or an archive; stay the caller's.</param>
    /// <param name="place">What messages call the root.</param>
    /// <param name="extensions">What counts as an image, in lower case; null for <see cref="ImageFiles.Extensions"/>.</param>
    public ImageTree(IFileSet files, string place, IReadOnlyList<string>? extensions = null)
        => (_files, _place, _extensions, _foldersByParent)
            = (files, place, extensions ?? ImageFiles.Extensions, files.Folders.ToLookup(f => Parent(f).ToString(), StringComparer.Ordinal));

    /// <summary>Finds the parts.</summary>
    /// <param name="name">What the data is called; the class of images that lie in no folder.</param>
    /// <param name="layout">Kind of the container.</param>
    /// <param name="isArchive">Archives usually wrap everything in a folder, which is then passed through.</param>
    /// <exception cref="NextPatchException">There are no images, a class is empty, or the parts have different classes.</exception>
    public DatasetParts Open(string name, string layout, bool isArchive)
    {
        var root = isArchive ? Unwrapped() : "";
        var folders = SubfoldersOf(root);
        if (!folders.Contains("train") || SubfoldersOf(Join(root, "train")).Length == 0)
        {
            var all = List(root, name);
            return new DatasetParts(Source(all, name, layout, LeftOut(all.Images, "lie beside the class folders")), null);
        }

        const string Elsewhere = "lie outside of the class folders of train/ and test/";
        var train = List(Join(root, "train"), name);
        if (TestNames.FirstOrDefault(folders.Contains) is not { } testName)
        {
            return new DatasetParts(Source(train, name, layout, LeftOut(train.Images, Elsewhere)), null);
        }

        var test = List(Join(root, testName), name);
        if (!train.ClassNames.SequenceEqual(test.ClassNames))
        {
            var odd = train.ClassNames.Except(test.ClassNames).Concat(test.ClassNames.Except(train.ClassNames));
            throw new NextPatchException(
                $"'{Show(Join(root, "train"))}' and '{Show(Join(root, testName))}' must have the same class folders, but only one of them has: "
                    + $"{string.Join(", ", odd)}.");
        }

        return new DatasetParts(
            Source(train, name, layout, LeftOut(train.Images.Concat(test.Images), Elsewhere)), Source(test, name, layout, []));
    }

    /// <summary>
    /// Classes and images under a folder: classes sorted by name, in them files sorted by folder, then by name, all by ordinal comparison.
    /// </summary>
    public (string[] ClassNames, (int File, int Label)[] Images) List(string root, string name)
    {
        var prefix = root.Length == 0 ? "" : root + "/";
        var images = _files.Paths.Index().Where(p => p.Item.StartsWith(prefix, StringComparison.Ordinal) && IsImage(p.Item))
            .Select(p => (p.Index, Path: p.Item[prefix.Length..])).ToArray();
        var classes = SubfoldersOf(root);
        if (!images.Any(i => i.Path.Contains('/')))
        {
            return images.Length > 0
                ? ([name], [.. images.OrderBy(i => i.Path, StringComparer.Ordinal).Select(i => (i.Index, 0))])
                : throw new NextPatchException(
                    $"'{Show(root)}' holds no images: none of its {classes.Length} subfolders has a file that ends in "
                    + $"{string.Join(", ", _extensions)}.");
        }

        var labels = classes.Index().ToDictionary(c => c.Item, c => c.Index, StringComparer.Ordinal);
        var listed = images.Where(i => i.Path.Contains('/')).Select(i => (i.Index, Label: labels[i.Path[..i.Path.IndexOf('/')]])).ToArray();
        Array.Sort(listed, (a, b) => a.Label != b.Label ? a.Label.CompareTo(b.Label) : CompareInClass(_files.Paths[a.Index], _files.Paths[b.Index]));
        var empty = Enumerable.Range(0, classes.Length).Except(listed.Select(i => i.Label)).ToArray();
        return empty.Length == 0
            ? (classes, listed)
            : throw new NextPatchException(
                $"Class folder '{Show(Join(root, classes[empty[0]]))}' holds no image "
                    + $"file{(empty.Length > 1 ? $" (and {empty.Length - 1} more)" : "")}. Fill or remove it.");
    }

    private ImageFiles Source(
        (string[] ClassNames, (int File, int Label)[] Images) part, string name, string layout, IReadOnlyList<LeftOutFiles> leftOut)
        => new(_files, part.Images) { Name = name, Layout = layout, ClassNames = part.ClassNames, LeftOut = leftOut };

    /// <summary>All files that are none of these, by reason, most frequent first.</summary>
    private List<LeftOutFiles> LeftOut(IEnumerable<(int File, int Label)> used, string elsewhere)
    {
        var isUsed = new bool[_files.Paths.Count];
        foreach (var (file, _) in used)
        {
            isUsed[file] = true;
        }

        var files = _files.Paths.Index().Where(p => !isUsed[p.Index]).Select(p => (Reason: IsImage(p.Item) ? elsewhere : ReasonOf(p.Item), p.Item));
        var folders = _files.PassedOver.Select(path => (
            Reason: $"lie in or are folders called '{path.Split('/').First(ArchivePaths.IsPassedOver)}', which is no class", Item: path));
        return [.. files.Concat(folders).GroupBy(f => f.Reason).Select(g => new LeftOutFiles(g.Key, g.Count(), g.First().Item))
            .OrderByDescending(l => l.Count).ThenBy(l => l.Reason, StringComparer.Ordinal).Take(MaxReasons)];
    }

    private static string ReasonOf(string path) => Path.GetFileName(path) is var name && name.StartsWith('.')
        ? "are hidden"
#pragma warning disable CA1308 // Extensions are shown in lower case.
        : Path.GetExtension(name) is { Length: > 0 } extension ? $"end in {extension.ToLowerInvariant()}, which is not read" : "have no extension";
#pragma warning restore CA1308

    /// <summary>By folder first, then by name: not the order of the whole paths, because '/' is larger than '-' or '.'.</summary>
    private static int CompareInClass(ReadOnlySpan<char> a, ReadOnlySpan<char> b)
    {
        var (endA, endB) = (a.LastIndexOf('/'), b.LastIndexOf('/'));
        var folders = a[..endA].SequenceCompareTo(b[..endB]);
        return folders != 0 ? folders : a[(endA + 1)..].SequenceCompareTo(b[(endB + 1)..]);
    }

    private bool IsImage(string path) => _extensions.Contains(Path.GetExtension(path), StringComparer.OrdinalIgnoreCase);

    /// <summary>The folder inside those that merely hold one folder of folders.</summary>
    private string Unwrapped()
    {
        var root = "";
        while (SubfoldersOf(root) is [var only] && only != "train" && SubfoldersOf(Join(root, only)).Length > 0
            && !_files.Paths.Any(p => Parent(p).SequenceEqual(root) && IsImage(p)))
        {
            root = Join(root, only);
        }

        return root;
    }

    private string[] SubfoldersOf(string root)
        => [.. _foldersByParent[root].Select(f => f[(root.Length == 0 ? 0 : root.Length + 1)..]).Order(StringComparer.Ordinal)];

    private string Show(string folder) => folder.Length == 0 ? _place : Path.Combine(_place, folder.Replace('/', Path.DirectorySeparatorChar));

    private static ReadOnlySpan<char> Parent(string path) => path.AsSpan(0, Math.Max(0, path.LastIndexOf('/')));

    private static string Join(string root, string name) => root.Length == 0 ? name : $"{root}/{name}";
}
