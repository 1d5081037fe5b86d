using NextPatch.Core.Imaging;
using NextPatch.Core.Tensors;
using NextPatch.Torch.Tokenizer;

namespace NextPatch.Goldens.Cases;

/// <summary>Ten crops of the enlarged centre crop, as bytes and as the numbers that the tokenizer gets.</summary>
internal static class TenCropCase
{
    public static void Run(CaseRun run)
    {
        var arrays = run.Golden.Arrays();
        foreach (var (name, side) in run.Golden.Config["crop_sizes"]?.AsObject().Select(p => (p.Key, (int)p.Value!)) ?? [])
        {
            var (size, range) = (int.Parse(name.Split('x')[0]), double.Parse(name.Split('x')[1]));
            run.Same($"crop size {name}", ImageCrops.TenCropSide(size, range), side);
        }

        foreach (var item in run.Golden.Config["items"]!.AsArray())
        {
            var (key, size) = ((string)item!["key"]!, (int)item["image_size"]!);
            var side = ImageCrops.TenCropSide(size, (double)item["crop_range"]!);
            run.Same($"crop size of {key}", side, (int)item["crop_size"]!);
            var (crops, bytes) = (new byte[10 * size * size * 3], size * size * 3);
            ImageCrops.Ten(ImageCrops.Centre(GoldenImages.Decode(run.Golden, item["file"]), side), size, crops);
            run.Close($"u8.{key}", HostTensor.From<byte>(ElementType.UInt8, [10, size, size, 3], crops), arrays[$"u8.{key}"], Tolerance.Exact);
            if (arrays.TryGetValue($"f32_crop4and9.{key}", out var numbers))
            {
                var tensor = ImageTensors.FromPixels([.. crops.AsSpan(4 * bytes, bytes), .. crops.AsSpan(9 * bytes, bytes)], size); // [2, 3, S, S]
                run.Close($"f32_crop4and9.{key}", tensor, numbers, run.Golden.Tolerance("f32"));
            }
        }
    }
}
