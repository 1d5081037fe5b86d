using NextPatch.Core.Imaging;

namespace NextPatch.Goldens.Cases;

/// <summary>Image files decoded to RGB: whole, or the patch from row 32 and column 40 on.</summary>
internal static class ImageDecodeCase
{
    private const int PatchTop = 32;
    private const int PatchLeft = 40;

    public static void Run(CaseRun run)
    {
        foreach (var (name, expected) in run.Golden.Arrays())
        {
            var (kind, file) = (name[..name.IndexOf('.')], name[(name.IndexOf('.') + 1)..]);
            var image = GoldenImages.Decode(run.Golden, $"images/{file}");
            if (kind == "decoded_patch")
            {
                image = ImageCrops.Cut(image, PatchLeft, PatchTop, (int)expected.Shape[1], (int)expected.Shape[0]);
            }

            GoldenImages.Same(run, name, image, expected);
        }
    }
}
