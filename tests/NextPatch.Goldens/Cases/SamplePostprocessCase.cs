using NextPatch.Core.Imaging;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Tokenizer;

namespace NextPatch.Goldens.Cases;

/// <summary>Decoded images in [-1, 1] to bytes, also after resizing to another size (the arrays' names end in it), and the archive of samples.</summary>
internal static class SamplePostprocessCase
{
    private const string Resized = "u8_resized";

    public static void Run(CaseRun run)
    {
        var arrays = run.Golden.Arrays(run.Golden.Files.First(f => f.EndsWith(".npz", StringComparison.Ordinal) && !f.Contains('/')));
        var samples = arrays["samples"];
        var (count, height, width) = ((int)samples.Shape[0], (int)samples.Shape[2], (int)samples.Shape[3]);
        run.Close("u8", Pixels(samples.ToSingles(), count, height, width), arrays["u8"].ToDoubles(), arrays["u8"].Shape, Tolerance.Exact);
        foreach (var (name, expected) in arrays.Where(a => a.Key.StartsWith(Resized, StringComparison.Ordinal)))
        {
            var size = int.Parse(name[Resized.Length..]);
            var resized = BicubicInterpolation.Resize(samples.ToSingles(), height, width, size, size);
            run.Close(name, Pixels(resized, count, size, size), expected.ToDoubles(), expected.Shape, new Tolerance(1, 0));
        }

        run.Incomplete("names of sample folders and the order of ranks are ours by design");
    }

    private static double[] Pixels(float[] planes, int count, int height, int width)
        => Array.ConvertAll(ImageTensors.ToPixels(StateLoader.ToTensor(Core.Checkpoints.HostTensor.FromSingles([count, 3, height, width], planes))), p => (double)p);
}
