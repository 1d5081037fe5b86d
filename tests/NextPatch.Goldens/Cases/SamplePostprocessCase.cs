using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Generation;
using NextPatch.Core.Imaging;
using NextPatch.Core.Sampling;
using NextPatch.Core.Tensors;
using NextPatch.Data.Imaging;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Tokenizer;

namespace NextPatch.Goldens.Cases;

/// <summary>
/// Decoded images in [-1, 1] to bytes, also after resizing to another size (the arrays' names end in it), and the archive of samples.
/// </summary>
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

        CheckArchive(run, arrays["u8"]);
        CheckNames(run, run.Golden.Json(run.Golden.FileEnding(".json")));
    }

    /// <summary>The sheet of the single-process sampler.</summary>
    public static void RunGrid(CaseRun run)
    {
        var arrays = run.Golden.Arrays();
        var (samples, expected) = (arrays["samples"], arrays["grid_u8"]);
        var columns = int.Parse(Regex.Match(run.Golden.Official, "nrow=([0-9]+)").Groups[1].ValueSpan);
        var sheet = TorchvisionGrid.Compose(samples.ToSingles(), (int)samples.Shape[2], (int)samples.Shape[3], columns);
        run.Close("grid_u8", GoldenImages.ToArray(sheet), expected, Tolerance.Exact);
        foreach (var file in run.Golden.Files.Where(f => f.EndsWith(".png", StringComparison.Ordinal)))
        {
            run.Close(file, GoldenImages.ToArray(sheet), GoldenImages.ToArray(ImageDecoder.Decode(run.Golden.PathOf(file))), Tolerance.Exact);
        }
    }

    /// <summary>Single images and the archive of the first of them, written by our writers.</summary>
    private static void CheckArchive(CaseRun run, HostTensor images)
    {
        var (count, size) = ((int)run.Golden.Config["num"]!, (int)(images.Count / images.Shape[0]));
        var file = run.Golden.PathOf(run.Golden.Files.Single(f => f.EndsWith(".npz", StringComparison.Ordinal) && f.Contains('/')));
        var own = Path.GetTempFileName();
        try
        {
            using (var archive = new NpzWriter(own))
            {
                using var array = archive.BeginArray("arr_0", ElementType.UInt8, [count, .. images.Shape.Skip(1)]);
                array.Write(images.Bytes.Span[..(count * size)]);
            }

            var (actual, expected) = (NpzFile.Read(own), NpzFile.Read(file));
            run.SameList("members of the archive", actual.Keys, expected.Keys);
            run.Close("arr_0", actual["arr_0"], expected["arr_0"], Tolerance.Exact);
        }
        finally
        {
            File.Delete(own);
        }

        foreach (var png in run.Golden.Files.Where(f => f.EndsWith(".png", StringComparison.Ordinal)))
        {
            var index = int.Parse(Path.GetFileNameWithoutExtension(png));
            run.Close(png, GoldenImages.ToArray(ImageDecoder.Decode(run.Golden.PathOf(png))).ToDoubles(),
                images.ToDoubles()[(index * size)..((index + 1) * size)], [.. images.Shape.Skip(1)], Tolerance.Exact);
        }
    }

    private static void CheckNames(CaseRun run, JsonNode names)
    {
        foreach (var folder in names["folders"]!.AsArray())
        {
            var arguments = folder!["argv"]!.AsArray().Select(a => (string)a!).ToList();
            string Value(string option, string otherwise) => arguments.IndexOf(option) is var at and >= 0 ? arguments[at + 1] : otherwise;
            double Number(string option, double otherwise) => double.Parse(Value(option, otherwise.ToString("R")));
            var name = LlamaGenNames.ForFolder(
                Value("--gpt-model", "GPT-B"), LlamaGenNames.ForCheckpoint(Value("--gpt-ckpt", "")), (int)Number("--image-size", 384),
                (int)Number("--image-size-eval", 256), Value("--vq-model", "VQ-16"),
                new SamplingConfig
                {
                    TopK = (int)Number("--top-k", 0), TopP = Number("--top-p", 1), Temperature = Number("--temperature", 1),
                    GuidanceScale = Number("--cfg-scale", 1.5),
                },
                ulong.Parse(Value("--global-seed", "0")));
            run.Same("folder name", name, (string)folder["folder_name"]!);
        }

        run.Remark("with several ranks image k comes from another rank there; here it depends on seed and k alone");
    }

    private static double[] Pixels(float[] planes, int count, int height, int width)
        => Array.ConvertAll(ImageTensors.ToPixels(StateLoader.ToTensor(HostTensor.FromSingles([count, 3, height, width], planes))), p => (double)p);
}
