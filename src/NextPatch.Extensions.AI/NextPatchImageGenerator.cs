using System.Globalization;
using Microsoft.Extensions.AI;
using NextPatch.Core;
using NextPatch.Core.Imaging;
using NextPatch.Data.Imaging;

namespace NextPatch.Extensions.AI;

/// <summary>
/// An <see cref="ImageGenerator"/> as Microsoft.Extensions.AI knows image generators. The prompt is a class, by name, number or synonym; a model
/// that takes prompts draws any. Of the options it reads Count, ImageSize, MediaType (image/png, image/jpeg, image/webp) and the additional
/// properties seed, class_id (not where any prompt is taken), cfg_scale, temperature, top_k and top_p.
/// </summary>
/// <remarks>Several threads may call it; requests take turns, as those to an <see cref="ImageGenerator"/> do.</remarks>
public sealed class NextPatchImageGenerator : IImageGenerator
{
    private readonly ImageGenerator _generator;
    private readonly ImageGeneratorMetadata _metadata;

    /// <param name="generator">Stays the caller's.</param>
    /// <param name="model">What telemetry calls the model; null: the beginning of its hash.</param>
    public NextPatchImageGenerator(ImageGenerator generator, string? model = null)
    {
        _generator = generator;
        _metadata = new ImageGeneratorMetadata("nextpatch", defaultModelId: model ?? generator.ModelHash[..12]);
    }

    /// <inheritdoc/>
    /// <exception cref="ConfigException">An unknown class, another size than the model's, or a value out of range.</exception>
    /// <exception cref="NotSupportedException">Images to edit, or answers that are no data.</exception>
    public async Task<ImageGenerationResponse> GenerateAsync(
        ImageGenerationRequest request, ImageGenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (request.OriginalImages?.Any() == true)
        {
            throw new NotSupportedException("Images are not edited here; give ImageRequest.GivenCodes to the ImageGenerator.");
        }

        if (options?.ResponseFormat is { } kind and not ImageGenerationResponseFormat.Data)
        {
            throw new NotSupportedException($"Images come as data, not as {kind}.");
        }

        var drawing = Read(request, options);
        var format = Format(options?.MediaType);
        var contents = new List<AIContent>();
        await foreach (var image in _generator.GenerateAsync(drawing, cancellationToken).ConfigureAwait(false))
        {
            contents.Add(ToContent(image, format));
        }

        return new ImageGenerationResponse(contents);
    }

    /// <inheritdoc/>
    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        object[] services = [this, _metadata, _generator];
        return serviceKey is null ? Array.Find(services, serviceType.IsInstanceOfType) : null;
    }

    /// <summary>Nothing: the generator is the caller's.</summary>
    public void Dispose()
    {
    }

    private static DataContent ToContent(GeneratedImage image, PictureFormat format)
    {
        using var png = new MemoryStream();
        if (format == PictureFormat.Png)
        {
            image.WritePng(png);
        }

        var bytes = format == PictureFormat.Png
            ? png.ToArray()
            : PictureEncoder.Encode(
                new RgbImage(image.Width, image.Height, image.Pixels.ToArray()), format, new Dictionary<string, string>());
        return new DataContent(bytes, $"image/{format.ToString().ToLowerInvariant()}")
        {
            Name = string.Create(
                CultureInfo.InvariantCulture,
                $"{(image.Prompt is null ? image.ClassName : "image")}-{image.Seed}-{image.Index}{PictureEncoder.Extension(format)}"),
        };
    }

    private static PictureFormat Format(string? mediaType) => mediaType switch
    {
        null or "image/png" => PictureFormat.Png,
        "image/jpeg" => PictureFormat.Jpeg,
        "image/webp" => PictureFormat.Webp,
        _ => throw new ConfigException($"MediaType '{mediaType}' must be image/png, image/jpeg or image/webp."),
    };

    private ImageRequest Read(ImageGenerationRequest request, ImageGenerationOptions? options)
    {
        if (options?.ImageSize is { } size && (size.Width != _generator.ImageSize || size.Height != _generator.ImageSize))
        {
            throw new ConfigException(
                $"ImageSize {size.Width}x{size.Height} must be {_generator.ImageSize}x{_generator.ImageSize}, which this model draws.");
        }

        var defaults = new ImageRequest();
        var number = Property<int>(options, "class_id");
        if (number is not null && _generator.TakesPrompts)
        {
            throw new ConfigException("This model takes prompts and has no classes; leave class_id out.");
        }

        var label = number?.ToString(CultureInfo.InvariantCulture) ?? request.Prompt;
        var what = string.IsNullOrWhiteSpace(label)
            ? throw new ConfigException($"The prompt is empty; {(_generator.TakesPrompts ? "say what to draw" : "name a class of the model")}.")
            : label.Trim();
        return new ImageRequest
        {
            Classes = _generator.TakesPrompts ? defaults.Classes : [what],
            Prompts = _generator.TakesPrompts ? [what] : null,
            Count = options?.Count ?? 1,
            Seed = Property<ulong>(options, "seed") ?? (ulong)Random.Shared.NextInt64(),
            GuidanceScale = Property<double>(options, "cfg_scale"),
            Temperature = Property<double>(options, "temperature") ?? defaults.Temperature,
            TopK = Property<int>(options, "top_k") ?? defaults.TopK,
            TopP = Property<double>(options, "top_p") ?? defaults.TopP,
        };
    }

    private static T? Property<T>(ImageGenerationOptions? options, string name)
        where T : struct, IParsable<T>
        => options?.AdditionalProperties?.TryGetValue(name, out var value) != true || value is null ? null
            : T.TryParse(Convert.ToString(value, CultureInfo.InvariantCulture), CultureInfo.InvariantCulture, out var parsed) ? parsed
            : throw new ConfigException($"{name} '{value}' is no number that it can be.");
}
