using System.Runtime.CompilerServices;
using System.Threading.Channels;
using NextPatch.Core;
using NextPatch.Core.Generation;
using NextPatch.Core.Imaging;
using NextPatch.Models;
using NextPatch.Sampling;

namespace NextPatch;

/// <summary>
/// Draws images from a trained model.
/// <code>
/// using var generator = ImageGenerator.Load("c2i_B_256.pt", new() { Tokenizer = "vq_ds16_c2i.pt" });
/// await foreach (var image in generator.GenerateAsync(new() { Classes = ["golden retriever"], Count = 8, Seed = 7 }, cancellation))
///     image.SavePng($"{image.Index}.png");
/// </code>
/// </summary>
/// <remarks>
/// Every member may be called from any thread. Requests to one generator take turns, some images at a time, and do not disturb each other; those
/// to different generators run side by side. Disposing waits for the images that are being drawn; enumerations that are not at their end
/// then throw <see cref="ObjectDisposedException"/>.
/// </remarks>
public sealed class ImageGenerator : IDisposable
{
    private readonly SampleModel _model;
    private readonly SemaphoreSlim _turn = new(1);
    private volatile bool _isDisposed;

    private readonly Action<string>? _onNote;

    private ImageGenerator(SampleModel model, Action<string>? onNote = null) => (_model, _onNote) = (model, onNote);

    /// <summary>Names by class number, with their synonyms; empty where the model has none.</summary>
    /// <exception cref="ObjectDisposedException">It was disposed.</exception>
    public IReadOnlyList<string> ClassNames => Model.Config.ClassNames;

    /// <summary>Number of classes; 0 where prompts say what is drawn.</summary>
    /// <exception cref="ObjectDisposedException">It was disposed.</exception>
    public int ClassCount => TakesPrompts ? 0 : Model.Config.Model.ClassCount;

    /// <summary>Whether prompts say what is drawn (<see cref="ImageRequest.Prompts"/>); else classes do.</summary>
    /// <exception cref="ObjectDisposedException">It was disposed.</exception>
    public bool TakesPrompts => Model.TakesPrompts;

    /// <summary>Width and height of the images in pixels.</summary>
    /// <exception cref="ObjectDisposedException">It was disposed.</exception>
    public int ImageSize => Model.Tokenizer!.Config.ImageSide;

    /// <summary>SHA-256 of the weights in use, in hexadecimal.</summary>
    /// <exception cref="ObjectDisposedException">It was disposed.</exception>
    public string ModelHash => Model.Hash;

    /// <summary>What computes, as a person calls it: "TorchSharp (CPU)".</summary>
    /// <exception cref="ObjectDisposedException">It was disposed.</exception>
    public string Engine => Model.Engine.Name;

    private SampleModel Model
    {
        get
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            return _model;
        }
    }

    /// <summary>Opens a model and its tokenizer; takes seconds, and the memory of their weights.</summary>
    /// <param name="path">A run (its newest checkpoint), a checkpoint or Hugging Face folder, or a file of weights (.pt, .pth, .safetensors,
    /// .npz).</param>
    /// <param name="options">Null: the defaults.</param>
    /// <exception cref="NextPatchException">
    /// Something is missing or damaged, model and tokenizer do not belong together, there is no tokenizer, or nothing that computes lies beside the
    /// program.
    /// </exception>
    public static ImageGenerator Load(string path, ImageGeneratorOptions? options = null)
    {
        options ??= new ImageGeneratorOptions();
        var model = SampleModel.Load(path, options.Tokenizer, options.Weights, options.ImageSize, options.Precision, options.Backend,
            prompts: new PromptEncoderChoice(options.TextEncoder, options.TextTokenizer, options.CleansPrompts), onNote: options.OnNote);
        if (model.Tokenizer is not null)
        {
            return new ImageGenerator(model, options.OnNote);
        }

        model.Dispose();
        throw new NextPatchException($"'{path}' draws codes, and no tokenizer lies beside it to turn them into images; name one with Tokenizer.")
        {
            Settings = ["Tokenizer"],
        };
    }

    /// <summary>
    /// Opens the model that comes with the library: ten classes of shapes in 32x32 pixels, trained by <c>nextpatch quickstart</c>. Takes a fraction
    /// of a second.
    /// </summary>
    /// <exception cref="NextPatchException">No temporary file can be written.</exception>
    public static ImageGenerator LoadBuiltIn() => new(BuiltInModel.Load());

    /// <summary>Draws images in order. Computing happens on a worker thread, some images at a time, as they are asked for.</summary>
    /// <param name="request">What to draw; null: the defaults.</param>
    /// <param name="cancellation">Checked at every code that is drawn, and while others have their turn.</param>
    /// <returns>The images; each enumeration draws them anew.</returns>
    /// <exception cref="ConfigException">An unknown class, or a value out of range; thrown by the call itself, which also encodes
    /// prompts.</exception>
    /// <exception cref="NextPatchException">The text encoder is missing, damaged, or another one than the model's; thrown by the call
    /// itself.</exception>
    /// <exception cref="ObjectDisposedException">It was disposed; thrown by the call, or by an enumeration that is not at its end.</exception>
    public IAsyncEnumerable<GeneratedImage> GenerateAsync(ImageRequest? request = null, CancellationToken cancellation = default)
        => DrawAsync(Read(request ?? new ImageRequest(), cancellation), cancellation);

    /// <summary>
    /// Draws images and shows each after every row of codes: as many partial images as the grid has rows, the last of which is the image. Images that
    /// are drawn side by side take turns; one image at a time is the request with <see cref="ImageRequest.Count"/> 1.
    /// </summary>
    /// <param name="request">What to draw, at most as many images as the engine draws side by side (16); null: one image.</param>
    /// <param name="cancellation">Checked at every code that is drawn; so is the end of the enumeration.</param>
    /// <exception cref="ConfigException">An unknown class, or a value out of range; thrown by the call itself.</exception>
    /// <exception cref="ObjectDisposedException">It was disposed.</exception>
    public IAsyncEnumerable<PartialImage> GenerateRowsAsync(ImageRequest? request = null, CancellationToken cancellation = default)
    {
        var all = Read(request ?? new ImageRequest { Count = 1 }, cancellation);
        return all.Labels.Count <= Model.Engine.BatchSize
            ? DrawRowsAsync(all, cancellation)
            : throw new ConfigException($"Count {all.Labels.Count} must be at most {Model.Engine.BatchSize}, as many as are drawn together.");
    }

    /// <summary>Frees the weights, after the images that are being drawn.</summary>
    public void Dispose()
    {
        _turn.Wait();
        try
        {
            if (!_isDisposed)
            {
                _isDisposed = true;
                _model.Dispose();
            }
        }
        finally
        {
            _turn.Release();
        }
    }

    private GenerationRequest Read(ImageRequest request, CancellationToken cancellation)
        => request.For(Model.Config, prompts => _model.Encode(prompts, _onNote, cancellation));

    private async IAsyncEnumerable<GeneratedImage> DrawAsync(GenerationRequest request, [EnumeratorCancellation] CancellationToken cancellation)
    {
        for (int done = 0, count; done < request.Labels.Count; done += count)
        {
            // Up to where the engine's next batch begins, so that no row of it is wasted.
            var batch = Model.Engine.BatchSize;
            count = Math.Min(batch - (int)((request.FirstIndex + done) % batch), request.Labels.Count - done);
            var part = request.Part(done, count, Model.Config.Model);
            foreach (var image in await InTurnAsync(() => Draw(part, cancellation), cancellation).ConfigureAwait(false))
            {
                yield return image;
            }
        }
    }

    private async IAsyncEnumerable<PartialImage> DrawRowsAsync(
        GenerationRequest request, [EnumeratorCancellation] CancellationToken cancellation)
    {
        var rows = Channel.CreateUnbounded<PartialImage>();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var drawing = InTurnAsync(() =>
        {
            var all = request with { OnRow = row => rows.Writer.TryWrite(Show(request.FirstIndex + row.Image, row, stop.Token)) };
            Model.Engine.Generate(all, cancellation: stop.Token);
            return Array.Empty<GeneratedImage>();
        }, stop.Token).ContinueWith(done => rows.Writer.Complete(done.Exception?.InnerException), TaskScheduler.Default);
        try
        {
            await foreach (var row in rows.Reader.ReadAllAsync(cancellation).ConfigureAwait(false))
            {
                yield return row;
            }
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false); // where the enumeration ends early, nothing goes on behind it
            await drawing.ConfigureAwait(false);
        }
    }

    private PartialImage Show(long index, FinishedRow row, CancellationToken cancellation) => new(
        PartialDecoder.Decode(_model.Tokenizer!, row.Codes, cancellation))
    {
        Index = index, Rows = row.Rows, GridSide = _model.Config.Model.GridSide, Codes = row.Codes.ToArray(),
    };

    private async Task<GeneratedImage[]> InTurnAsync(Func<GeneratedImage[]> draw, CancellationToken cancellation)
    {
        await _turn.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            return await Task.Run(draw, cancellation).ConfigureAwait(false);
        }
        finally
        {
            _turn.Release();
        }
    }

    private GeneratedImage[] Draw(GenerationRequest part, CancellationToken cancellation)
    {
        var codes = Model.Engine.Generate(part, cancellation: cancellation); // [n, T]
        var (pixels, side) = (Model.Tokenizer!.Decode(codes, cancellation), ImageSize); // [n, S, S, 3]
        return [.. part.Labels.Select((label, i) => new GeneratedImage(
            new RgbImage(side, side, pixels.AsSpan(i * side * side * 3, side * side * 3).ToArray()),
            SampleText.For(_model, part, i))
        {
            Index = part.FirstIndex + i, Seed = part.Seed, Prompt = part.Prompts?[i].Text,
            Class = part.Prompts is null ? label : -1,
            ClassName = part.Prompts is null ? SampleSheet.NameOf(label, _model.Config.ClassNames) : "",
        })];
    }
}
