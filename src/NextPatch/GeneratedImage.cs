using NextPatch.Core.Imaging;

namespace NextPatch;

/// <summary>An image that a model drew, and how it came about. Immutable; any thread may use it, also after its generator is gone.</summary>
public sealed class GeneratedImage
{
    private readonly RgbImage _image;
    private readonly IReadOnlyDictionary<string, string> _text;

    /// <param name="image">Not copied.</param>
    /// <param name="text">What a PNG file remembers.</param>
    internal GeneratedImage(RgbImage image, IReadOnlyDictionary<string, string> text) => (_image, _text) = (image, text);

    /// <summary>uint8 [Height, Width, 3]: rows from top to bottom, R, G, B without padding.</summary>
    public ReadOnlyMemory<byte> Pixels => _image.Pixels;

    /// <summary>Pixels per row.</summary>
    public int Width => _image.Width;

    /// <summary>Rows.</summary>
    public int Height => _image.Height;

    /// <summary>The request's <see cref="ImageRequest.FirstIndex"/> plus the place in it.</summary>
    public required long Index { get; init; }

    /// <summary>The request's seed.</summary>
    public required ulong Seed { get; init; }

    /// <summary>The prompt that it was drawn from; null where a class was drawn.</summary>
    public string? Prompt { get; init; }

    /// <summary>Number of its class; -1 where it was drawn from a prompt.</summary>
    public required int Class { get; init; }

    /// <summary>Name of its class without further synonyms; its number where it has none, and empty where it was drawn from a prompt.</summary>
    public required string ClassName { get; init; }

    /// <summary>
    /// Writes a PNG file that remembers seed, index, class, settings and model, as <c>nextpatch sample</c> does: the same image is the same bytes.
    /// </summary>
    /// <param name="path">A file of that name is replaced.</param>
    /// <exception cref="IOException">It cannot be written.</exception>
    public void SavePng(string path) => File.WriteAllBytes(path, PngWriter.Encode(_image, _text));

    /// <summary>The bytes of that file into a stream, which stays open.</summary>
    public void WritePng(Stream destination) => PngWriter.Write(destination, _image, _text);
}
