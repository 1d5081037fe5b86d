using System.Globalization;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Core.Imaging;
using NextPatch.Core.Sampling;
using NextPatch.Data.Imaging;
using NextPatch.Models;

namespace NextPatch.Sampling;

/// <summary>The first images of each class, one labelled row per class.</summary>
internal sealed class SampleSheet
{
    private const int MaxRows = 40;
    private const int MaxColumns = 10;
    private const int PixelsPerImage = 64;
    private const int LongestName = 40;

    private readonly IReadOnlyList<string> _classNames;
    private readonly SortedDictionary<int, List<RgbImage>> _rows = [];

    /// <param name="classNames">Names by label; may be empty.</param>
    public SampleSheet(IReadOnlyList<string> classNames) => _classNames = classNames;

    /// <summary>The name of a class without its further synonyms, or its number where it has none.</summary>
    public static string NameOf(int label, IReadOnlyList<string> classNames)
        => label < classNames.Count ? ClassLookup.ShortName(ImageNetClasses.NameOf(classNames[label])) : label.ToString(CultureInfo.InvariantCulture);

    /// <summary>Draws the sheet of the first classes or captions: the same images, by seed and row, for models of the same codes.</summary>
    /// <param name="engine">Draws the codes.</param>
    /// <param name="tokenizer">Turns them into images.</param>
    /// <param name="config">Of the model that the engine draws with.</param>
    /// <param name="prompts">Captions, one per row at least; null where classes condition the model.</param>
    /// <param name="rows">Classes or captions.</param>
    /// <param name="perRow">Images of each.</param>
    /// <param name="seed">Of all of them.</param>
    /// <param name="guidance">Guidance scale; null: 2, or none where the model has no null class.</param>
    /// <param name="cancellation">Ends the drawing.</param>
    /// <returns>A PNG file.</returns>
    public static byte[] Draw(
        IGenerationEngine engine, IImageTokenizer tokenizer, CheckpointConfig config, IReadOnlyList<PromptFeatures>? prompts, int rows, int perRow,
        ulong seed, double? guidance = null, CancellationToken cancellation = default)
    {
        var labels = Enumerable.Range(0, rows * perRow).Select(i => i / perRow).ToArray();
        var request = new GenerationRequest
        {
            Labels = prompts is null ? labels : new int[labels.Length],
            Prompts = prompts is null ? null : [.. labels.Select(row => prompts[row])],
            Seed = seed,
            Sampling = new SamplingConfig { GuidanceScale = guidance ?? (config.Model.HasNullClass ? 2 : 1) },
        };
        var codes = engine.Generate(request, cancellation: cancellation);
        var (pixels, side) = (tokenizer.Decode(codes, cancellation), tokenizer.Config.ImageSide); // [N, S, S, 3]
        var sheet = new SampleSheet(prompts is null ? config.ClassNames : [.. prompts.Select(p => p.Text)]);
        for (var i = 0; i < labels.Length; i++)
        {
            sheet.Add(labels[i], new RgbImage(side, side, pixels.AsSpan(i * side * side * 3, side * side * 3).ToArray()));
        }

        return PngWriter.Encode(sheet.Compose());
    }

    /// <summary>Keeps the image if its row has room.</summary>
    public void Add(int label, RgbImage image)
    {
        if (!_rows.TryGetValue(label, out var row))
        {
            if (_rows.Count == MaxRows)
            {
                return;
            }

            _rows[label] = row = [];
        }

        if (row.Count < MaxColumns)
        {
            row.Add(image);
        }
    }

    /// <summary>The sheet; rows are as long as the longest, missing images are black.</summary>
    public RgbImage Compose()
    {
        var columns = _rows.Values.Max(row => row.Count);
        var first = _rows.Values.First()[0];
        var blank = new RgbImage(first.Width, first.Height);
        return ImageGrid.Compose(
            [.. _rows.Values.SelectMany(row => row.Concat(Enumerable.Repeat(blank, columns - row.Count)))],
            columns,
            Math.Max(1, PixelsPerImage / first.Width),
            [.. _rows.Keys.Select(label => NameOf(label, _classNames)).Select(name => name.Length > LongestName ? name[..LongestName] : name)]);
    }
}
