using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Core.Imaging;
using NextPatch.Data.Imaging;
using NextPatch.Models;

namespace NextPatch;

/// <summary>
/// Turns an image into a grid of codes and back.
/// <code>
/// using var tokenizer = ImageTokenizer.Load("vq_ds16_c2i.pt");
/// tokenizer.Reconstruct("photograph.jpg").SavePng("back.png");
/// </code>
/// </summary>
/// <remarks>Every member may be called from any thread; calls to one tokenizer take turns, those to different ones run side by side.</remarks>
public sealed class ImageTokenizer : IDisposable
{
    private readonly IImageTokenizer _tokenizer;
    private readonly Lock _turn = new();
    private bool _isDisposed;

    private ImageTokenizer(IImageTokenizer tokenizer) => _tokenizer = tokenizer;

    /// <summary>Width and height in pixels of what is encoded and decoded.</summary>
    /// <exception cref="ObjectDisposedException">It was disposed.</exception>
    public int ImageSize => InTurn(t => t.Config.ImageSide);

    /// <summary>Codes per side of an image; an image has the square of it.</summary>
    /// <exception cref="ObjectDisposedException">It was disposed.</exception>
    public int GridSide => InTurn(t => t.Config.GridSide);

    /// <summary>Number of different codes.</summary>
    /// <exception cref="ObjectDisposedException">It was disposed.</exception>
    public int CodebookSize => InTurn(t => t.Config.CodebookSize);

    /// <summary>Opens a tokenizer.</summary>
    /// <param name="path">A folder with config.json, or a weights file in the published layout.</param>
    /// <param name="options">Null: the defaults.</param>
    /// <exception cref="NextPatchException">A file is missing or damaged, the size does not fit, or nothing that computes lies beside the
    /// program.</exception>
    public static ImageTokenizer Load(string path, ImageTokenizerOptions? options = null)
    {
        options ??= new ImageTokenizerOptions();
        return new ImageTokenizer(
            TokenizerSource.Open(ComputeBackends.Find(options.Backend), path, imageSize: options.ImageSize, precision: options.Precision));
    }

    /// <summary>The codes of an image's centre crop, the same as <see cref="CodeExtractor"/> stores.</summary>
    /// <param name="image">Of any size; its smaller side is resized to <see cref="ImageSize"/>.</param>
    /// <returns>Codes, row-major, [GridSide * GridSide], each in [0, CodebookSize).</returns>
    /// <exception cref="ObjectDisposedException">It was disposed.</exception>
    public int[] Encode(RgbImage image) => InTurn(t =>
    {
        var codes = new int[t.Config.CodesPerImage];
        t.Encode(ImageCrops.Centre(image, t.Config.ImageSide).Pixels, codes);
        return codes;
    });

    /// <summary>The image of some codes.</summary>
    /// <param name="codes">Row-major, [GridSide * GridSide], each in [0, CodebookSize).</param>
    /// <exception cref="NextPatchException">Another number of codes, or one outside the codebook.</exception>
    /// <exception cref="ObjectDisposedException">It was disposed.</exception>
    public RgbImage Decode(ReadOnlyMemory<int> codes) => InTurn(t => codes.Length == t.Config.CodesPerImage
        ? new RgbImage(t.Config.ImageSide, t.Config.ImageSide, t.Decode(codes))
        : throw new NextPatchException($"An image has {t.Config.CodesPerImage} codes, but {codes.Length} were given; decode one image at a time."));

    /// <summary>What comes back of an image.</summary>
    /// <param name="image">Its centre crop is taken.</param>
    /// <exception cref="ObjectDisposedException">It was disposed.</exception>
    public RgbImage Reconstruct(RgbImage image) => Decode(Encode(image));

    /// <summary>What comes back of an image file.</summary>
    /// <param name="path">A file of a kind that SkiaSharp reads, or .ppm.</param>
    /// <exception cref="NextPatchException">It is missing or damaged.</exception>
    /// <exception cref="ObjectDisposedException">It was disposed.</exception>
    public RgbImage Reconstruct(string path) => Reconstruct(ImageDecoder.Decode(path));

    /// <summary>Frees the weights, after the call that is computing.</summary>
    public void Dispose()
    {
        lock (_turn)
        {
            if (!_isDisposed)
            {
                _isDisposed = true;
                _tokenizer.Dispose();
            }
        }
    }

    private T InTurn<T>(Func<IImageTokenizer, T> compute)
    {
        lock (_turn)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            return compute(_tokenizer);
        }
    }
}

/// <summary>How <see cref="ImageTokenizer.Load(string, ImageTokenizerOptions?)"/> opens a tokenizer.</summary>
public sealed record ImageTokenizerOptions
{
    /// <summary>Pixels per side of the images; null = as it was trained, of a weights file 256.</summary>
    public int? ImageSize { get; init; }

    /// <summary>Arithmetic of the encoder; <see cref="ComputePrecision.Bf16"/> rounds to some other codes.</summary>
    public ComputePrecision Precision { get; init; }

    /// <summary>What computes; null = C# alone (NextPatch.Cpu); NextPatch.Torch has another.</summary>
    public IComputeBackend? Backend { get; init; }
}
