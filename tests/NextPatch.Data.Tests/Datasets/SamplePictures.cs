using NextPatch.Core.Imaging;
using NextPatch.Data.Sources;

namespace NextPatch.Data.Tests.Datasets;

/// <summary>Pictures that can be told apart, as files.</summary>
internal static class SamplePictures
{
    private static readonly ImageDataset Shapes = ShapesDataset.Create(9, trainCount: 20, heldOutCount: 0).Train;

    /// <summary>A PNG file of 32x32 pixels.</summary>
    public static byte[] Png(int i) => PngWriter.Encode(Pixels(i));

    public static RgbImage Pixels(int i) => Shapes.ToImage(i % Shapes.Count);

    public static void Write(string path, int i)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllBytes(path, Png(i));
    }
}
