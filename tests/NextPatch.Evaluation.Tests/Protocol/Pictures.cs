using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Imaging;
using NextPatch.Core.Tensors;
using NextPatch.Evaluation.Protocol;

namespace NextPatch.Evaluation.Tests.Protocol;

/// <summary>Small random images, in memory and in files.</summary>
internal static class Pictures
{
    public static byte[] Random(int count, int side, int seed = 1, bool grey = false)
    {
        var random = new Random(seed);
        var pixels = new byte[count * side * side * 3];
        random.NextBytes(pixels);
        for (var i = 0; grey && i < pixels.Length; i++)
        {
            pixels[i] = pixels[i - (i % 3)];
        }

        return pixels;
    }

    public static ArrayImageSet Npz(string path, int count, int side, int seed = 1, bool grey = false, int[]? labels = null)
    {
        Write(path, [count, side, side, 3], Random(count, side, seed, grey), labels);
        return ArrayImageSet.Open(path);
    }

    public static void Write(string path, long[] shape, byte[] pixels, int[]? labels = null)
    {
        using var archive = new NpzWriter(path);
        archive.Add("arr_0", new HostTensor(ElementType.UInt8, shape, pixels));
        if (labels is not null)
        {
            archive.Add("labels", HostTensor.From<int>(ElementType.Int32, [labels.Length], labels));
        }
    }

    public static void WritePng(string path, int width, int height, int seed)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        var image = new RgbImage(width, height);
        new Random(seed).NextBytes(image.Pixels);
        File.WriteAllBytes(path, PngWriter.Encode(image));
    }

    public static byte[] AllPixels(ImageSet images) => [.. images.Read().SelectMany(b => b.Pixels)];
}
