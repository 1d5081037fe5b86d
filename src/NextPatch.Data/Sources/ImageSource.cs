using NextPatch.Core;
using NextPatch.Core.Imaging;

namespace NextPatch.Data.Sources;

/// <summary>Labelled images in a fixed order, which stay where they lie until one is decoded. Reading is safe from several threads.</summary>
public abstract class ImageSource : IDisposable
{
    /// <summary>What the data is called in reports: a folder or file name.</summary>
    public required string Name { get; init; }

    /// <summary>How the images are stored: "image folder", "tar archive", "CIFAR records".</summary>
    public required string Layout { get; init; }

    /// <summary>Names of the classes; label k is entry k.</summary>
    public required IReadOnlyList<string> ClassNames { get; init; }

    /// <summary>What lies beside the images and is not used, by reason.</summary>
    public IReadOnlyList<LeftOutFiles> LeftOut { get; init; } = [];

    /// <summary>Number of images.</summary>
    public abstract int Count { get; }

    /// <summary>Width and height of every image where the format fixes them and they are equal; else null.</summary>
    public virtual int? Side => null;

    /// <summary>Class of image <paramref name="i"/>.</summary>
    public abstract int Label(int i);

    /// <summary>Where image <paramref name="i"/> lies, for messages and records.</summary>
    public abstract string PathOf(int i);

    /// <summary>Reads and decodes one image.</summary>
    /// <exception cref="NextPatch.Core.NextPatchException">The image cannot be read; names its path.</exception>
    /// <exception cref="DataFormatException">The image is damaged; names its path.</exception>
    public abstract RgbImage Decode(int i);

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <inheritdoc/>
    protected virtual void Dispose(bool disposing)
    {
    }
}
