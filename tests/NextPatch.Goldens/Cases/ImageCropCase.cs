using NextPatch.Core.Imaging;

namespace NextPatch.Goldens.Cases;

/// <summary>The crops of image files: centre, random (with the recorded choices), ten.</summary>
internal static class ImageCropCase
{
    public static void RunCentre(CaseRun run)
    {
        var arrays = run.Golden.Arrays();
        foreach (var item in run.Golden.Config["items"]!.AsArray())
        {
            var key = (string)item!["key"]!;
            GoldenImages.Same(run, key, ImageCrops.Centre(GoldenImages.Decode(run.Golden, item["file"]), (int)item["crop_size"]!), arrays[key]);
        }
    }

    public static void RunRandom(CaseRun run)
    {
        var arrays = run.Golden.Arrays();
        foreach (var item in run.Golden.Config["items"]!.AsArray())
        {
            var (key, size) = ((string)item!["key"]!, (int)item["image_size"]!);
            var (least, most) = ImageCrops.RandomSides(size);
            run.SameList($"{key} sides", [least, most], item["smaller_dim_range"]!.AsArray().Select(n => (int)n!));
            var image = GoldenImages.Decode(run.Golden, item["file"]);
            var crop = ImageCrops.At(image, size, (int)item["smaller_dim_size"]!, (int)item["crop_y"]!, (int)item["crop_x"]!);
            GoldenImages.Same(run, key, crop, arrays[key]);
        }
    }

    /// <summary>Rows 100 to 124, sum and shape of centre crops at real sizes; the size stands in the arrays' names.</summary>
    public static void RunRealSizes(CaseRun run)
    {
        var arrays = run.Golden.Arrays();
        var image = GoldenImages.Decode(run.Golden, run.Golden.Config["file"]);
        foreach (var name in arrays.Keys.Where(n => n.EndsWith("_shape", StringComparison.Ordinal)))
        {
            var prefix = name[..^"_shape".Length];
            var crop = ImageCrops.Centre(image, int.Parse(prefix["crop".Length..]));
            run.SameList(name, [crop.Height, crop.Width, 3L], arrays[name].ToInt64());
            run.Same($"{prefix}_sum", crop.Pixels.Sum(p => (long)p), arrays[$"{prefix}_sum"].ToInt64().Single());
            foreach (var (rows, expected) in arrays.Where(a => a.Key.StartsWith($"{prefix}_rows_", StringComparison.Ordinal)))
            {
                var first = int.Parse(rows[$"{prefix}_rows_".Length..].Split('_')[0]);
                GoldenImages.Same(run, rows, ImageCrops.Cut(crop, 0, first, crop.Width, (int)expected.Shape[0]), expected);
            }
        }
    }
}
