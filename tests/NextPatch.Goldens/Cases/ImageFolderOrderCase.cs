using NextPatch.Data.Containers;
using NextPatch.Data.Datasets;

namespace NextPatch.Goldens.Cases;

/// <summary>Which files of a tree are images, their classes and their order.</summary>
internal static class ImageFolderOrderCase
{
    public static void Run(CaseRun run)
    {
        var golden = run.Golden.Json(run.Golden.FileEnding(".json"));
        var paths = golden["tree"]!.AsObject().SelectMany(c => c.Value!.AsArray().Select(f => $"{c.Key}/{(string)f!}")).ToArray();
        string[] extensions = [.. golden["extensions"]!.AsArray().Select(e => (string)e!)];
        var (classes, images) = new ImageTree(new Listing(paths), "tree", extensions).List("", "tree");
        run.SameList("classes", classes, golden["classes"]!.AsArray().Select(c => (string)c!));
        run.SameList(
            "samples", images.Select(i => $"{paths[i.File]} {i.Label}"), golden["samples"]!.AsArray().Select(s => $"{(string)s![0]!} {(int)s[1]!}"));
    }

    /// <summary>Names without files.</summary>
    private sealed class Listing(string[] paths) : IFileSet
    {
        public IReadOnlyList<string> Paths => paths;

        public IReadOnlyCollection<string> Folders { get; } = [.. paths.SelectMany(Above).Distinct()];

        public string Describe(int file) => paths[file];

        public byte[] Read(int file) => throw new NotSupportedException();

        public void Dispose()
        {
        }

        private static IEnumerable<string> Above(string path)
        {
            for (var slash = path.IndexOf('/'); slash >= 0; slash = path.IndexOf('/', slash + 1))
            {
                yield return path[..slash];
            }
        }
    }
}
