using System.Globalization;
using System.Text.Json.Nodes;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Configuration;
using NextPatch.Data.Codes;
using NextPatch.Data.Datasets;
using NextPatch.Data.Sources;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Tokenizer;

namespace NextPatch.Goldens.Cases;

/// <summary>
/// Extracted codes: order of the images, the published layout read as a store and written again to the same bytes, and the codes themselves from the
/// images.
/// </summary>
internal static class CodeFilesCase
{
    // Near-ties of the choice may fall the other way.
    private const double SmallestShare = 0.99;

    public static void Run(CaseRun run)
    {
        var golden = run.Golden;
        using var parts = DatasetReader.OpenParts(RootOf(golden));
        CheckOrder(run, parts.Train);
        foreach (var folder in golden.Files.Where(f => f.Contains(
            "_codes/", StringComparison.Ordinal)).Select(f => f[..f.LastIndexOf('/')]).Distinct())
        {
            CheckStore(run, folder);
        }

        CheckCodes(run, parts.Train);
    }

    private static (string Path, int Label)[] OrderOf(GoldenCase golden)
        => [.. golden.Config["dataset_order"]!.AsArray().Select(o => ((string)o![0]!, (int)o[1]!))];

    private static string RootOf(GoldenCase golden)
    {
        var first = OrderOf(golden)[0].Path;
        return golden.PathOf(golden.Files.First(f => f.EndsWith(first, StringComparison.Ordinal))[..^first.Length]);
    }

    private static void CheckOrder(CaseRun run, ImageSource source)
        => run.SameList(
            "order", Enumerable.Range(0, source.Count)
            .Select(i => $"{Path.GetRelativePath(RootOf(run.Golden), source.PathOf(i)).Replace('\\', '/')} {source.Label(i)}"),
            OrderOf(run.Golden).Select(i => $"{i.Path} {i.Label}"));

    /// <summary>The whole way: decoded, cropped, encoded; equal wherever the choice was clear.</summary>
    private static void CheckCodes(CaseRun run, ImageSource source)
    {
        var golden = run.Golden;
        var (size, range) = ((int)golden.Config["image_size"]!,
            double.Parse(((string)golden.Config["ten_crop_argv"]!).Split(' ')[^1], CultureInfo.InvariantCulture));
        var network = (string)golden.Config["vq"]!; // "VQ-16 full size, formula weights codes_weights.json"
        var preset = TokenizerPresets.Get(TokenizerPresets.Names.Single(name => network.StartsWith(name, StringComparison.Ordinal)));
        using var tokenizer = new VqTokenizer(preset with { ImageSide = size }, seed: 0);
        var state = FormulaWeights.Make(golden.Json(golden.Files.Single(f => network.EndsWith(' ' + f, StringComparison.Ordinal)))).ToDictionary();
        state.TryAdd("quantize.codebook_used", StateLoader.ToHost(tokenizer.get_buffer("quantize.codebook_used")!));
        StateLoader.Load(tokenizer, state, golden.Name);
        tokenizer.eval();
        var gaps = golden.Arrays();
        foreach (var file in golden.Files.Where(f => f.Contains("_codes/", StringComparison.Ordinal)))
        {
            var image = int.Parse(Path.GetFileNameWithoutExtension(file), CultureInfo.InvariantCulture);
            var expected = NpyFile.Read(golden.PathOf(file)).ToInt64();
            var isTen = expected.Length > ImageViews.Flip(size).Count * tokenizer.Config.CodesPerImage;
            var views = isTen ? ImageViews.Ten(size, range) : ImageViews.Flip(size);
            var pixels = new byte[views.Count * size * size * 3];
            views.Write(isTen ? GoldenImages.Decode(golden, golden.Config["ten_image"]) : source.Decode(image), pixels);
            var codes = tokenizer.EncodePixels(pixels);
            var clear = gaps[isTen ? "gap.ten" : $"gap.{image}"].ToDoubles().Select(g => g > TokenizerCase.SmallestGap).ToArray();
            run.SameList($"codes from the image of {file}", codes.Where((_, i) => clear[i]).Select(c => (long)c), expected.Where((_, i) => clear[i]));
            run.Same($"share of equal codes of {file} at least {SmallestShare}",
                codes.Zip(expected).Count(p => p.First == p.Second) >= SmallestShare * expected.Length, true);
        }
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
            var writer = new LlamaGenCodeWriter(written.FullName, name);
            foreach (var file in files)
            {
                var image = int.Parse(Path.GetFileNameWithoutExtension(file));
                var entry = golden.Entry["npy_files"]?.AsArray().FirstOrDefault(e => (string?)e!["file"] == file);
                CheckImage(run, store, writer, image, file, entry);
                foreach (var kind in (string[])["codes", "labels"])
                {
                    var path = Path.Combine($"{name}_{kind}", Path.GetFileName(file));
                    run.Same($"bytes of {path}", Convert.ToHexString(File.ReadAllBytes(Path.Combine(written.FullName, path))),
                        Convert.ToHexString(File.ReadAllBytes(Path.Combine(folder, path))));
                }
            }
        }
        finally
        {
            written.Delete(recursive: true);
        }
    }

    private static void CheckImage(CaseRun run, CodeStore store, LlamaGenCodeWriter writer, int image, string file, JsonNode? entry)
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
        run.Same($"label of {file}", store.Label(image),
            NpyFile.Read(run.Golden.PathOf(file.Replace("_codes/", "_labels/", StringComparison.Ordinal))).ToInt64().Single());
        writer.Write(image, codes, store.Augmentations, store.Label(image));
    }
}
