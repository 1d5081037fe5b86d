using NextPatch.Conversion;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Core.Sampling;
using NextPatch.Core.Tensors;
using NextPatch.Cpu.Generation;
using NextPatch.Cpu.Gpt;
using NextPatch.Data.Codes;
using NextPatch.Models;

namespace NextPatch;

/// <summary>Stores a transformer's weights in fewer bits, and measures what that costs.</summary>
public static class WeightsQuantizer
{
    /// <summary>Side by side, so that products are read once for all.</summary>
    private const int Rows = 16;

    private static readonly string[] Embeddings =
        [GptState.Classes, GptState.Codes, GptState.CaptionIn, GptState.CaptionOut, GptState.Unconditional];

    /// <summary>Writes a model folder in the layout of Hugging Face and compares it with the original.</summary>
    /// <param name="model">A run, a checkpoint or model folder, or a file of weights.</param>
    /// <param name="output">The folder; must not hold a model yet.</param>
    /// <param name="options">Null: the defaults.</param>
    /// <param name="cancellation">Reaches every loop; a folder that was written stays.</param>
    /// <exception cref="ConfigException">A setting cannot work, or not a transformer.</exception>
    /// <exception cref="NextPatchException">The model is damaged, or the folder cannot be written.</exception>
    public static QuantizationReport Run(
        string model, string output, QuantizationOptions? options = null, CancellationToken cancellation = default)
    {
        options ??= new QuantizationOptions();
        if (options.To is not (ComputePrecision.Int8 or ComputePrecision.Bf16) || options.Count < 1)
        {
            throw new ConfigException($"To {options.To} must be int8 or bf16, and Count {options.Count} at least 1.") { Settings = ["To", "Count"] };
        }

        using var source = ModelSource.Open(model, options.Weights);
        var config = source.ResolveConfig(options.ImageSize);
        GptState.Check(config.Model, source.Weights.Tensors, source.Weights.Path);
        var prompt = config.Model.Text is null ? null : Unconditional(source.Weights);
        var (labels, codes) = options.Codes is { } folder
            ? Read(folder, options.Count, config.Model)
            : Drawn(source, config.Model, options.Count, prompt, cancellation);
        var (tensors, metadata) = Store(source.Weights.Tensors, options.To);
        foreach (var (key, value) in source.Weights.Metadata.Where(m => m.Key != Int8Panels.MetadataKey))
        {
            metadata.TryAdd(key, value);
        }

        (metadata["format"], metadata["weights"]) = ("pt", source.KindName);
        new ModelFolder(output, options.Tokenizer, license: null, long.MaxValue, options.To == ComputePrecision.Int8)
            .Write(source, config, tensors, metadata, cancellation);

        using var written = WeightsFile.Open(output);
        using var first = Decoder(config.Model, source.Weights, WeightStorage.Float32);
        using var second = Decoder(config.Model, written, options.To == ComputePrecision.Int8 ? WeightStorage.Int8 : WeightStorage.BFloat16);
        var comparison = LogitComparison.Run(first, second, labels, codes, cancellation, prompt);
        return new QuantizationReport(
            output, options.To, source.Weights.Tensors.Values.Sum(t => t.ByteCount), tensors.Sum(t => t.Value.ByteCount), options.Codes is not null,
            labels.Length, comparison.Divergence, comparison.EqualGreedy);
    }

    /// <summary>Weights as they are stored, and the metadata that belong to them: what products read comes first, on whole cache lines.</summary>
    internal static (List<KeyValuePair<string, StoredTensor>> Tensors, Dictionary<string, string> Metadata) Store(
        IReadOnlyDictionary<string, StoredTensor> tensors, ComputePrecision to)
    {
        if (to == ComputePrecision.Bf16)
        {
            return ([.. tensors.Select(t => KeyValuePair.Create(t.Key, Rounded(t.Value)))], []);
        }

        var matrices = tensors.Where(t => t.Value.Shape.Count == 2 && !Embeddings.Contains(t.Key)).ToList();
        var parts = matrices.ConvertAll(m => (m.Key, Int8Panels.Quantize(m.Value)));
        return (
            [
                .. parts.Select(p => KeyValuePair.Create(p.Key + Int8Panels.Suffix, p.Item2.Panels)),
                .. parts.Select(p => KeyValuePair.Create(p.Key + Int8Panels.ScaleSuffix, p.Item2.Scales)),
                .. tensors.Except(matrices).OrderByDescending(t => t.Value.Shape.Count).Select(t => KeyValuePair.Create(t.Key, Rounded(t.Value))),
            ],
            new Dictionary<string, string> { [Int8Panels.MetadataKey] = Int8Panels.Describe(matrices) });
    }

    private static StoredTensor Rounded(StoredTensor tensor) => tensor.As(tensor.Shape.Count < 2 ? ElementType.Float32 : ElementType.BFloat16);

    private static IGptDecoder Decoder(GptConfig config, WeightsFile weights, WeightStorage storage)
        => GptDecoders.Create(config, weights.Tensors, storage, Rows, Environment.ProcessorCount);

    /// <summary>Images spread over a store.</summary>
    private static (int[] Labels, int[] Codes) Read(string folder, int count, GptConfig config)
    {
        using var store = CodeStore.Open(folder);
        if (store.CodesPerImage != config.CodesPerImage || store.Manifest.VocabularySize > config.VocabularySize)
        {
            throw new ConfigException(
                $"The codes in '{folder}' are {store.CodesPerImage} of {store.Manifest.VocabularySize} per image, but the model draws "
                + $"{config.CodesPerImage} of {config.VocabularySize}.")
            { Settings = ["Codes"] };
        }

        count = Math.Min(count, store.Count);
        var (labels, codes) = (new int[count], new int[count * store.CodesPerImage]);
        for (var i = 0; i < count; i++)
        {
            var place = (int)((long)i * store.Count / count);
            labels[i] = store.Label(place);
            if (config.Text is null && labels[i] >= config.ClassCount)
            {
                throw new ConfigException(
                    $"The codes in '{folder}' have the label {labels[i]}, but the model has {config.ClassCount} classes; name codes of its own.")
                { Settings = ["Codes"] };
            }

            store.ReadCodes(place, 0, codes.AsSpan(i * store.CodesPerImage, store.CodesPerImage));
        }

        return (labels, codes);
    }

    /// <summary>What a model is measured on that captions condition: its own features of no caption.</summary>
    private static PromptFeatures Unconditional(WeightsFile weights)
    {
        var rows = weights.Tensors[GptState.Unconditional];
        return new PromptFeatures("", rows.As(ElementType.Float32).Read().ToSingles(), (int)rows.Shape[1]);
    }

    private static (int[] Labels, int[] Codes) Drawn(
        ModelSource source, GptConfig config, int count, PromptFeatures? prompt, CancellationToken cancellation)
    {
        using var engine = CpuGenerationEngine.Open(source.Weights, config);
        int[] labels = [.. Enumerable.Range(0, count).Select(i => prompt is null ? i % config.ClassCount : 0)];
        return (labels, engine.Generate(
            new GenerationRequest
            {
                Labels = labels, Prompts = prompt is null ? null : [.. Enumerable.Repeat(prompt, count)],
                Sampling = new SamplingConfig { GuidanceScale = 1 },
            }, cancellation: cancellation));
    }
}

/// <summary>How <see cref="WeightsQuantizer"/> works.</summary>
public sealed record QuantizationOptions
{
    /// <summary>
    /// <see cref="ComputePrecision.Int8"/>: products in eight bits, embeddings in bf16, norms in float; or <see cref="ComputePrecision.Bf16"/>.
    /// </summary>
    public ComputePrecision To { get; init; } = ComputePrecision.Int8;

    /// <summary>Which weights, where there is a choice: by default the EMA weights where there are any.</summary>
    public WeightsKind Weights { get; init; }

    /// <summary>Side of the images in pixels, for files that do not say it; null = 256.</summary>
    public int? ImageSize { get; init; }

    /// <summary>The tokenizer to put beside the model, as it is; null = the model's, where it has one.</summary>
    public string? Tokenizer { get; init; }

    /// <summary>Folder of codes to measure on; null: codes that the model draws, unguided.</summary>
    public string? Codes { get; init; }

    /// <summary>Images to measure on.</summary>
    public int Count { get; init; } = 64;
}

/// <summary>What fewer bits cost.</summary>
/// <param name="Path">The folder that was written.</param>
/// <param name="To">How weights are stored in it.</param>
/// <param name="OriginalBytes">Of the tensors that were read.</param>
/// <param name="Bytes">Of those that were written.</param>
/// <param name="IsOnRealCodes">Whether it was measured on given codes; else on codes that the model drew.</param>
/// <param name="Images">Images it was measured on.</param>
/// <param name="Divergence">Mean Kullback-Leibler divergence of the predicted distributions from the original's, in nats per code.</param>
/// <param name="EqualGreedy">Share of codes where both find the same one most probable, given the same codes before.</param>
public sealed record QuantizationReport(
    string Path, ComputePrecision To, long OriginalBytes, long Bytes, bool IsOnRealCodes, int Images, double Divergence, double EqualGreedy)
{
    /// <summary>Fréchet distance of images that the quantised model draws from a reference; null where it was not measured.</summary>
    public double? Distance { get; init; }

    /// <summary>The same of the original's images, drawn from the same random numbers.</summary>
    public double? OriginalDistance { get; init; }
}
