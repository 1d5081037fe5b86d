using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using NextPatch.Core;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Files;
using NextPatch.Core.Generation;
using NextPatch.Core.Imaging;
using NextPatch.Core.Tensors;
using NextPatch.Data.Imaging;

namespace NextPatch.Sampling;

/// <summary>
/// Draws images and writes them: numbered PNG files, <c>grid.png</c>, <c>samples.npz</c> and <c>samples.json</c>, of prompts also
/// <c>captions.txt</c>; without a tokenizer <c>codes.npz</c> instead of images.
/// </summary>
/// <remarks>Works in parts of fixed size, so that memory does not grow with the number of images.</remarks>
internal sealed class SampleWriter
{
    // A multiple of the engine's internal batches, so that no row of them is wasted.
    private const int Part = 64;

    private const int PublishedGridImages = 16;
    private const int PublishedGridColumns = 4;

    private readonly SampleModel _model;
    private readonly EvaluationSize? _size;

    /// <summary>How numbered pictures are stored; grid.png stays a PNG file.</summary>
    public PictureFormat Format { get; init; }

    /// <summary>
    /// Parts whose PNG files are all there, with the same seed, class, rules, model, tokenizer and precision in their text, are read and not
    /// drawn again.
    /// </summary>
    public bool Resume { get; init; }

    /// <summary>
    /// Null: all. Else only PNG files are written, of every so-many-th part: once all are there, <see cref="Resume"/> makes the rest of them.
    /// </summary>
    public Shard? Shard { get; init; }

    /// <param name="model">Draws and decodes.</param>
    /// <param name="size">Size of the images where it is not that of the model; null: as drawn.</param>
    public SampleWriter(SampleModel model, EvaluationSize? size = null) => (_model, _size) = (model, size);

    /// <summary>Draws and writes; files of an earlier set with the same numbers are replaced.</summary>
    /// <param name="folder">Takes grid.png, samples.npz and samples.json; made if need be.</param>
    /// <param name="imageFolder">Takes the numbered PNG files; null = <paramref name="folder"/>.</param>
    /// <param name="request">What to draw.</param>
    /// <param name="progress">Told after every part.</param>
    /// <param name="cancellation">Checked at every position; PNG files written so far stay.</param>
    public void Write(string folder, string? imageFolder, GenerationRequest request, IProgress<int>? progress, CancellationToken cancellation)
        => Write(SamplePaths.In(folder, imageFolder, _model.Tokenizer is not null), request, progress, cancellation);

    /// <summary>The same into other places.</summary>
    public void Write(SamplePaths paths, GenerationRequest request, IProgress<int>? progress, CancellationToken cancellation)
    {
        Directory.CreateDirectory(paths.Images);
        if (Shard is { } shard)
        {
            WriteShard(shard, paths, new SampleDecoder(_model.Tokenizer!, _size), request, progress, cancellation);
            return;
        }

        Sweep(paths.Images);
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(paths.Archive))!);
        if (_model.Tokenizer is null)
        {
            WriteCodes(paths.Archive, request, progress, cancellation);
        }
        else
        {
            WriteImages(paths, new SampleDecoder(_model.Tokenizer, _size), request, progress, cancellation);
        }

        if (request.Prompts is { } prompts)
        {
            PromptFiles.Write(paths, prompts, request.FirstIndex, Format);
        }

        AtomicFile.WriteText(paths.Description, JsonSerializer.Serialize(Describe(request), SampleSetJson.Default.SampleSet));
    }

    /// <summary>File name of an image: 000012.png.</summary>
    public static string FileName(long index, PictureFormat format = PictureFormat.Png)
        => index.ToString("D6", CultureInfo.InvariantCulture) + PictureEncoder.Extension(format);

    /// <summary>Deletes what a killed command left of numbered images.</summary>
    private static void Sweep(string folder)
    {
        foreach (var file in Directory.EnumerateFiles(folder, AtomicFile.PartialOf("*")))
        {
            var image = Path.GetFileNameWithoutExtension(file);
            if (long.TryParse(Path.GetFileNameWithoutExtension(image), NumberStyles.None, CultureInfo.InvariantCulture, out var index)
                && Enum.GetValues<PictureFormat>().Any(format => FileName(index, format) == image))
            {
                File.Delete(file);
            }
        }
    }

    private void WriteImages(
        SamplePaths paths, SampleDecoder decoder, GenerationRequest request, IProgress<int>? progress, CancellationToken cancellation)
    {
        var rows = request.Prompts?.Select(prompt => prompt.Text).Distinct().ToList();
        var (side, sheet) = (decoder.Side, new SampleSheet(rows ?? _model.Config.ClassNames));
        int[] firstCodes = [];
        using (var archive = new NpzWriter(paths.Archive))
        {
            using var array = archive.BeginArray("arr_0", ElementType.UInt8, [request.Labels.Count, side, side, 3]);
            foreach (var part in Parts(request))
            {
                var stored = Resume && !(paths.HasPublishedGrid && firstCodes.Length == 0) ? Stored(paths.Images, part, side) : null;
                var pixels = stored ?? Drawn(part);
                array.Write(pixels);
                for (var i = 0; i < part.Labels.Count; i++)
                {
                    var image = new RgbImage(side, side, pixels.AsSpan(i * side * side * 3, side * side * 3).ToArray());
                    if (stored is null)
                    {
                        WritePicture(paths, part, i, image);
                    }

                    sheet.Add(part.Prompts is null ? part.Labels[i] : rows!.IndexOf(part.Prompts[i].Text), image);
                }

                progress?.Report((int)(part.FirstIndex - request.FirstIndex) + part.Labels.Count);
            }
        }

        var picture = PngWriter.Encode(paths.HasPublishedGrid ? PublishedSheet(firstCodes) : sheet.Compose());
        AtomicFile.Write(paths.Grid, file => file.Write(picture));

        byte[] Drawn(GenerationRequest part)
        {
            var codes = _model.Engine.Generate(part, cancellation: cancellation);
            firstCodes = part.FirstIndex == request.FirstIndex ? codes : firstCodes;
            return decoder.Decode(codes, cancellation);
        }
    }

    /// <summary>Parts go to shards in turn; files that are there are kept, and nothing is touched that another process may be writing.</summary>
    private void WriteShard(
        Shard shard, SamplePaths paths, SampleDecoder decoder, GenerationRequest request, IProgress<int>? progress, CancellationToken cancellation)
    {
        foreach (var (number, part) in Parts(request).Index())
        {
            var side = decoder.Side;
            if (number % shard.Count == shard.Index && Stored(paths.Images, part, side) is null)
            {
                var pixels = decoder.Decode(_model.Engine.Generate(part, cancellation: cancellation), cancellation);
                for (var i = 0; i < part.Labels.Count; i++)
                {
                    var image = new RgbImage(side, side, pixels.AsSpan(i * side * side * 3, side * side * 3).ToArray());
                    WritePicture(paths, part, i, image);
                }
            }

            progress?.Report((int)(part.FirstIndex - request.FirstIndex) + part.Labels.Count);
        }
    }

    /// <summary>Whole or absent: a later --resume takes what is there.</summary>
    private void WritePicture(SamplePaths paths, GenerationRequest part, int place, RgbImage image)
    {
        var bytes = PictureEncoder.Encode(image, Format, SampleText.For(_model, part, place, _size));
        AtomicFile.Write(Path.Combine(paths.Images, FileName(part.FirstIndex + place, Format)), file => file.Write(bytes));
    }

    /// <returns>The pixels of a part's files; null where one is missing or was drawn otherwise.</returns>
    private byte[]? Stored(string folder, GenerationRequest part, int side)
    {
        var pixels = new byte[part.Labels.Count * side * side * 3];
        for (var i = 0; i < part.Labels.Count; i++)
        {
            var index = part.FirstIndex + i;
            var path = Path.Combine(folder, FileName(index));
            if (!File.Exists(path) || ReadPixels(path, SampleText.For(_model, part, i, _size)) is not { } image
                || (image.Width, image.Height) != (side, side))
            {
                return null;
            }

            image.Pixels.CopyTo(pixels, i * side * side * 3);
        }

        return pixels;
    }

    private static RgbImage? ReadPixels(string path, Dictionary<string, string> text)
    {
        try
        {
            using (var file = File.OpenRead(path))
            {
                if (!SampleText.IsSame(PngText.Read(file), text))
                {
                    return null;
                }
            }

            return ImageDecoder.Decode(path);
        }
        catch (NextPatchException)
        {
            return null; // damaged: drawn again
        }
    }

    private RgbImage PublishedSheet(int[] codes)
    {
        var (length, side) = (_model.Config.Model.CodesPerImage, _model.Tokenizer!.Config.ImageSide);
        return TorchvisionGrid.Compose(
            _model.Tokenizer!.DecodePlanes(codes.AsMemory(0, Math.Min(codes.Length, PublishedGridImages * length))), side, side,
            PublishedGridColumns);
    }

    private void WriteCodes(string path, GenerationRequest request, IProgress<int>? progress, CancellationToken cancellation)
    {
        using var archive = new NpzWriter(path);
        using (var array = archive.BeginArray("codes", ElementType.Int32, [request.Labels.Count, _model.Config.Model.CodesPerImage]))
        {
            foreach (var part in Parts(request))
            {
                array.Write(MemoryMarshal.AsBytes(_model.Engine.Generate(part, cancellation: cancellation).AsSpan()));
                progress?.Report((int)(part.FirstIndex - request.FirstIndex) + part.Labels.Count);
            }
        }

        archive.Add("labels", HostTensor.From<int>(ElementType.Int32, [request.Labels.Count], request.Labels.ToArray()));
    }

    private IEnumerable<GenerationRequest> Parts(GenerationRequest request)
    {
        var total = request.Labels.Count;
        for (var first = 0; first < total; first += Part)
        {
            yield return request.Part(first, Math.Min(Part, total - first), _model.Engine.Config);
        }
    }

    private SampleSet Describe(GenerationRequest request) => new()
    {
        Labels = request.Labels,
        Prompts = request.Prompts?.Select(prompt => prompt.Text).ToList(),
        ClassNames = _model.Config.ClassNames,
        Seed = request.Seed,
        FirstIndex = request.FirstIndex,
        Sampling = request.Sampling,
        Weights = _model.KindName,
        ModelHash = _model.Hash,
        TokenizerHash = _model.TokenizerHash,
        TokenizerPath = _model.TokenizerPath,
        Engine = _model.Engine.Name,
        ImageSize = _model.Tokenizer?.Config.ImageSide,
        ImageSizeEval = _size?.Side,
        ResizeFilter = _size?.Filter,
        Version = SampleText.Version,
    };
}

/// <summary>Where a set of samples goes.</summary>
/// <param name="Images">Folder of the numbered PNG files.</param>
/// <param name="Grid">The sheet of the first images.</param>
/// <param name="Archive">samples.npz, or the codes where there is no tokenizer.</param>
/// <param name="Description">samples.json.</param>
/// <param name="HasPublishedGrid">The sheet is laid out as the published sampler does, without class names.</param>
internal sealed record SamplePaths(string Images, string Grid, string Archive, string Description, bool HasPublishedGrid = false)
{
    /// <summary>Folder of captions.txt, and with the published layout result.jsonl, of images that were drawn from prompts.</summary>
    public string Prompts { get; private init; } = Path.GetDirectoryName(Path.GetFullPath(Archive))!;

    /// <summary>Everything in one folder.</summary>
    /// <param name="folder">Takes grid.png, samples.npz (codes.npz) and samples.json.</param>
    /// <param name="images">Takes the PNG files; null: the same folder.</param>
    /// <param name="hasImages">Whether there is a tokenizer.</param>
    public static SamplePaths In(string folder, string? images, bool hasImages)
        => new(images ?? folder, Path.Combine(folder, "grid.png"), Path.Combine(folder, hasImages ? "samples.npz" : "codes.npz"),
            Path.Combine(folder, "samples.json"));

    /// <summary>
    /// As the published samplers lay it out: a folder of images, and beside it files of the same name. Of prompts the images lie in <c>images/</c>
    /// of that folder, beside what says which is of which.
    /// </summary>
    public static SamplePaths Published(string folder, string name, bool arePrompts)
    {
        var path = Path.Combine(folder, name);
        return new(arePrompts ? Path.Combine(path, "images") : path, path + ".png", path + ".npz", path + ".json", HasPublishedGrid: true)
        {
            Prompts = path,
        };
    }
}
