using System.Globalization;
using System.Text.Json;
using NextPatch.Cli.Rendering;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Generation;
using NextPatch.Core.Imaging;
using NextPatch.Core.Sampling;

namespace NextPatch.Cli.Sampling;

/// <summary>
/// Draws images and writes them: numbered PNG files, <c>grid.png</c>, <c>samples.npz</c> and <c>samples.json</c>; without a tokenizer
/// <c>codes.npz</c> instead of images.
/// </summary>
/// <remarks>Works in parts of fixed size, so that memory does not grow with the number of images.</remarks>
internal sealed class SampleWriter
{
    // A multiple of the engine's internal batches, so that no row of them is wasted.
    private const int Part = 64;

    private readonly SampleModel _model;

    public SampleWriter(SampleModel model) => _model = model;

    /// <summary>Draws and writes; files of an earlier set with the same numbers are replaced.</summary>
    /// <param name="folder">Takes grid.png, samples.npz and samples.json; made if need be.</param>
    /// <param name="imageFolder">Takes the numbered PNG files; null = <paramref name="folder"/>.</param>
    /// <param name="request">What to draw.</param>
    /// <param name="progress">Told after every part.</param>
    /// <param name="cancellation">Checked at every position; PNG files written so far stay.</param>
    public void Write(string folder, string? imageFolder, GenerationRequest request, ProgressReporter progress, CancellationToken cancellation)
    {
        Directory.CreateDirectory(folder);
        Directory.CreateDirectory(imageFolder ?? folder);
        if (_model.Tokenizer is null)
        {
            WriteCodes(folder, request, progress, cancellation);
        }
        else
        {
            WriteImages(folder, imageFolder ?? folder, request, progress, cancellation);
        }

        File.WriteAllText(Path.Combine(folder, "samples.json"), JsonSerializer.Serialize(Describe(request), SampleSetJson.Default.SampleSet));
    }

    /// <summary>File name of an image: 000012.png.</summary>
    public static string FileName(long index) => index.ToString("D6", CultureInfo.InvariantCulture) + ".png";

    private void WriteImages(string folder, string imageFolder, GenerationRequest request, ProgressReporter progress, CancellationToken cancellation)
    {
        var side = _model.Tokenizer!.Config.ImageSide;
        var sheet = new SampleSheet(_model.Config.ClassNames);
        using var archive = new NpzWriter(Path.Combine(folder, "samples.npz"));
        using (var array = archive.BeginArray("arr_0", ElementType.UInt8, [request.Labels.Count, side, side, 3]))
        {
            foreach (var (first, labels, codes) in Draw(request, progress, cancellation))
            {
                var pixels = _model.Tokenizer.DecodePixels(codes, cancellation);
                array.Write(pixels);
                for (var i = 0; i < labels.Length; i++)
                {
                    var image = new RgbImage(side, side, pixels.AsSpan(i * side * side * 3, side * side * 3).ToArray());
                    var index = request.FirstIndex + first + i;
                    using var file = File.Create(Path.Combine(imageFolder, FileName(index)));
                    PngWriter.Write(file, image, Metadata(request, index, labels[i]));
                    sheet.Add(labels[i], image);
                }
            }
        }

        File.WriteAllBytes(Path.Combine(folder, "grid.png"), PngWriter.Encode(sheet.Compose()));
    }

    private void WriteCodes(string folder, GenerationRequest request, ProgressReporter progress, CancellationToken cancellation)
    {
        var all = new int[request.Labels.Count * _model.Config.Model.CodesPerImage];
        foreach (var (first, _, codes) in Draw(request, progress, cancellation))
        {
            codes.CopyTo(all, first * _model.Config.Model.CodesPerImage);
        }

        using var archive = new NpzWriter(Path.Combine(folder, "codes.npz"));
        archive.Add("codes", HostTensor.From<int>(ElementType.Int32, [request.Labels.Count, _model.Config.Model.CodesPerImage], all));
        archive.Add("labels", HostTensor.From<int>(ElementType.Int32, [request.Labels.Count], request.Labels.ToArray()));
    }

    private IEnumerable<(int First, int[] Labels, int[] Codes)> Draw(GenerationRequest request, ProgressReporter progress, CancellationToken cancellation)
    {
        var total = request.Labels.Count;
        progress.Report("Sampling", 0, total);
        for (var first = 0; first < total; first += Part)
        {
            var labels = request.Labels.Skip(first).Take(Part).ToArray();
            var codes = _model.Engine.Generate(request with { Labels = labels, FirstIndex = request.FirstIndex + first }, cancellation: cancellation);
            progress.Report("Sampling", first + labels.Length, total);
            yield return (first, labels, codes);
        }
    }

    private Dictionary<string, string> Metadata(GenerationRequest request, long index, int label) => new()
    {
        ["Software"] = $"NextPatch {Version}",
        ["seed"] = request.Seed.ToString(CultureInfo.InvariantCulture),
        ["index"] = index.ToString(CultureInfo.InvariantCulture),
        ["class"] = label.ToString(CultureInfo.InvariantCulture),
        ["className"] = SampleSheet.NameOf(label, _model.Config.ClassNames),
        ["settings"] = DescribeRules(request.Sampling),
        ["weights"] = _model.KindName,
        ["modelHash"] = _model.Hash,
    };

    private SampleSet Describe(GenerationRequest request) => new()
    {
        Labels = request.Labels,
        ClassNames = _model.Config.ClassNames,
        Seed = request.Seed,
        FirstIndex = request.FirstIndex,
        Sampling = request.Sampling,
        Weights = _model.KindName,
        ModelHash = _model.Hash,
        Engine = _model.Engine.Name,
        Version = Version,
    };

    public static string Version => typeof(NextPatchException).Assembly.GetName().Version!.ToString(3);

    /// <summary>The rules as options of <c>nextpatch sample</c>, so that they can be repeated.</summary>
    private static string DescribeRules(SamplingConfig rules)
    {
        var shape = rules.GuidanceShape switch { GuidanceShape.Linear => "linear", GuidanceShape.Power => "power", _ => "constant" };
        return string.Create(
            CultureInfo.InvariantCulture,
            $"--cfg-scale {rules.GuidanceScale} --cfg-interval {rules.GuidanceInterval} --cfg-shape {shape} --cfg-power {rules.GuidancePower} --temperature {rules.Temperature} --top-k {rules.TopK} --top-p {rules.TopP}{(rules.Greedy ? " --greedy" : "")}");
    }
}
