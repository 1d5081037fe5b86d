using NextPatch.Core.Imaging;
using NextPatch.Data.Containers;
using NextPatch.Data.Imaging;

namespace NextPatch.Data.Sources;

/// <summary>Image files with labels, out of a folder, an archive or a list.</summary>
internal sealed class ImageFiles : ImageSource
{
    /// <summary>torchvision's list without TIFF, and GIF.</summary>
    public static readonly IReadOnlyList<string> Extensions = [".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".webp", ".gif"];

    private readonly IFileSet _files;
    private readonly (int File, int Label)[] _images;

    /// <param name="files">Closed with this object.</param>
    /// <param name="images">Which files, in order, and their classes.</param>
    public ImageFiles(IFileSet files, (int File, int Label)[] images) => (_files, _images) = (files, images);

    public override int Count => _images.Length;

    public override int Label(int i) => _images[i].Label;

    public override string PathOf(int i) => _files.Describe(_images[i].File);

    public override RgbImage Decode(int i) => ImageDecoder.Decode(_files.Read(_images[i].File), PathOf(i));

    /// <summary>Whether a file's name ends as an image's does.</summary>
    public static bool IsImage(string path) => Extensions.Contains(Path.GetExtension(path), StringComparer.OrdinalIgnoreCase);

    protected override void Dispose(bool disposing)
    {
        _files.Dispose();
        base.Dispose(disposing);
    }
}
