using NextPatch.Core.Imaging;

namespace NextPatch.Goldens.Cases;

/// <summary>Pillow's resize of recorded pixels.</summary>
internal static class ImageResizeCase
{
    public static void Run(CaseRun run)
    {
        var arrays = run.Golden.Arrays();
        foreach (var item in run.Golden.Config["items"]!.AsArray())
        {
            var key = (string)item!["key"]!;
            var filter = Enum.Parse<ResampleFilter>((string)item["filter"]!, ignoreCase: true);
            var (width, height) = ((int)item["size_wh"]![0]!, (int)item["size_wh"]![1]!);
            var resized = PillowResize.Resize(GoldenImages.FromArray(arrays[$"src.{key}"]), width, height, filter);
            run.Close(key, GoldenImages.ToArray(resized), arrays[$"dst.{key}"], run.Golden.Tolerance("default"));
        }
    }
}
