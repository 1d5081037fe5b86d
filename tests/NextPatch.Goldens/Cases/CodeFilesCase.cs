using System.Text.Json.Nodes;
using NextPatch.Core.Checkpoints;
using NextPatch.Data.Codes;
using NextPatch.Data.Datasets;

namespace NextPatch.Goldens.Cases;

/// <summary>Extracted codes as files: order of the images, the published layout read as a store, and written again to the same bytes.</summary>
internal static class CodeFilesCase
{
    public static void Run(CaseRun run)
    {
        var golden = run.Golden;
        CheckOrder(run);
        foreach (var folder in golden.Files.Where(f => f.EndsWith("_codes/0.npy", StringComparison.Ordinal)).Select(f => f[..f.LastIndexOf('/')]))
        {
            CheckStore(run, folder);
        }

        run.Incomplete("the codes themselves are not computed: that needs the full tokenizer");
    }

    private static void CheckOrder(CaseRun run)
    {
        var images = run.Golden.Config["dataset_order"]!.AsArray().Select(o => ((string)o![0]!, (int)o[1]!)).ToArray();
        var first = run.Golden.Files.First(f => f.EndsWith(images[0].Item1, StringComparison.Ordinal));
        var root = run.Golden.PathOf(first[..^images[0].Item1.Length]);
        using var parts = DatasetReader.OpenParts(root);
        run.SameList("order", Enumerable.Range(0, parts.Train.Count).Select(i => $"{Path.GetRelativePath(root, parts.Train.PathOf(i)).Replace('\\', '/')} {parts.Train.Label(i)}"),
            images.Select(i => $"{i.Item1} {i.Item2}"));
    }

    private static void CheckStore(CaseRun run, string codesFolder)
    {
        var golden = run.Golden;
        var folder = golden.PathOf(codesFolder[..codesFolder.LastIndexOf('/')]);
        using var store = CodeStore.Open(folder);
        var files = golden.Files.Where(f => f.StartsWith(codesFolder + "/", StringComparison.Ordinal)).ToArray();
        run.Same($"images in {codesFolder}", store.Count, files.Length);
        var written = Directory.CreateTempSubdirectory("nextpatch-goldens-");
        try
        {
            var name = codesFolder[(codesFolder.LastIndexOf('/') + 1)..^"_codes".Length];
            var writer = new PublishedCodeWriter(written.FullName, name);
            foreach (var file in files)
            {
                var image = int.Parse(Path.GetFileNameWithoutExtension(file));
                var entry = golden.Entry["npy_files"]?.AsArray().FirstOrDefault(e => (string?)e!["file"] == file);
                CheckImage(run, store, writer, image, file, entry);
                foreach (var kind in (string[])["codes", "labels"])
                {
                    var path = Path.Combine($"{name}_{kind}", Path.GetFileName(file));
                    run.Same($"bytes of {path}", Convert.ToHexString(File.ReadAllBytes(Path.Combine(written.FullName, path))), Convert.ToHexString(File.ReadAllBytes(Path.Combine(folder, path))));
                }
            }
        }
        finally
        {
            written.Delete(recursive: true);
        }
    }

    private static void CheckImage(CaseRun run, CodeStore store, PublishedCodeWriter writer, int image, string file, JsonNode? entry)
    {
        var expected = NpyFile.Read(run.Golden.PathOf(file));
        if (entry is not null)
        {
            run.SameList($"shape of {file}", [1L, store.Augmentations, store.CodesPerImage], entry["shape"]!.AsArray().Select(e => (long)e!));
        }

        var codes = new int[store.Augmentations * store.CodesPerImage];
        for (var variant = 0; variant < store.Augmentations; variant++)
        {
            store.ReadCodes(image, variant, codes.AsSpan(variant * store.CodesPerImage, store.CodesPerImage));
        }

        run.SameList($"codes of {file}", codes.Select(c => (long)c), expected.ToInt64());
        run.Same($"label of {file}", store.Label(image), NpyFile.Read(run.Golden.PathOf(file.Replace("_codes/", "_labels/", StringComparison.Ordinal))).ToInt64().Single());
        writer.Write(image, codes, store.Augmentations, store.Label(image));
    }
}
