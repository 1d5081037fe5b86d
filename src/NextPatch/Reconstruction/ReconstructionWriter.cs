using System.Globalization;
using NextPatch.Core.Imaging;
using NextPatch.Data.Imaging;
using NextPatch.Sampling;

namespace NextPatch.Reconstruction;

/// <summary>Writes reconstructions as numbered PNG files, and the first of them beside their originals into <c>grid.png</c>.</summary>
internal sealed class ReconstructionWriter
{
    private const int GridColumns = 8;
    private const int MaxGridImages = 64;
    private const int PixelsPerImage = 64;

    private readonly string _folder;
    private readonly string _tokenizerHash;
    private readonly List<RgbImage> _grid = [];

    /// <param name="folder">Made if need be.</param>
    /// <param name="tokenizerHash">Goes into every file.</param>
    public ReconstructionWriter(string folder, string tokenizerHash)
    {
        (_folder, _tokenizerHash) = (folder, tokenizerHash);
        Directory.CreateDirectory(folder);
    }

    /// <summary>Images written.</summary>
    public int Count { get; private set; }

    /// <param name="original">Stands left of its reconstruction in the grid; null where there is none.</param>
    /// <param name="reconstruction">Goes into the next file.</param>
    /// <param name="source">Where it comes from, for the file's text.</param>
    public void Write(RgbImage? original, RgbImage reconstruction, string source)
    {
        using (var file = File.Create(Path.Combine(_folder, SampleWriter.FileName(Count))))
        {
            PngWriter.Write(file, reconstruction, new Dictionary<string, string>
            {
                ["Software"] = $"NextPatch {SampleText.Version}",
                ["index"] = Count.ToString(CultureInfo.InvariantCulture),
                ["source"] = source,
                ["tokenizerHash"] = _tokenizerHash,
            });
        }

        Count++;
        if (_grid.Count < MaxGridImages)
        {
            _grid.AddRange(original is null ? [reconstruction] : [original, reconstruction]);
        }
    }

    /// <summary>Writes the grid; call it after the last image.</summary>
    /// <returns>Its path.</returns>
    public string WriteGrid()
    {
        var path = Path.Combine(_folder, "grid.png");
        File.WriteAllBytes(path, PngWriter.Encode(ImageGrid.Compose(_grid, GridColumns, Math.Max(1, PixelsPerImage / _grid[0].Width))));
        return path;
    }
}
