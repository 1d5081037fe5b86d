using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Core.Tensors;
using NextPatch.Models;

namespace NextPatch.Sampling;

/// <summary>A trained model ready to draw, with the tokenizer that turns its codes into images.</summary>
internal sealed class SampleModel : IDisposable
{
    /// <summary>Instead of a tokenizer's path: codes are wanted, not images.</summary>
    public const string NoTokenizer = "none";

    private readonly Task<string> _hash;
    private readonly Task<string>? _tokenizerHash;
    private readonly Lazy<PromptEncoder> _prompts;

    private SampleModel(
        IGenerationEngine engine, CheckpointConfig config, IImageTokenizer? tokenizer, string kindName, Task<string> hash,
        Task<string>? tokenizerHash, PromptEncoderChoice prompts, Action<string>? onNote)
    {
        _prompts = new Lazy<PromptEncoder>(() => PromptEncoder.Open(config, prompts, onNote));
        Engine = engine;
        Config = config;
        Tokenizer = tokenizer;
        KindName = kindName;
        (_hash, _tokenizerHash) = (hash, tokenizerHash);
    }

    public IGenerationEngine Engine { get; }

    public CheckpointConfig Config { get; }

    /// <summary>Null: codes can be drawn but not shown.</summary>
    public IImageTokenizer? Tokenizer { get; }

    /// <summary>ema or model.</summary>
    public string KindName { get; }

    /// <summary>How weights are kept; those that are stored in eight bits are, unless another precision was asked for.</summary>
    public ComputePrecision Precision { get; private init; }

    /// <summary><see cref="WeightsHash"/> of the weights in use; of weights that stay in their file it may still be computed.</summary>
    /// <exception cref="DataFormatException">They are not what was written.</exception>
    public string Hash => _hash.GetAwaiter().GetResult();

    /// <summary>Where <see cref="Tokenizer"/> lies; without one, where the tokenizer of the codes lay, null when unknown.</summary>
    public string? TokenizerPath { get; private set; }

    /// <summary>Whether prompts say what is drawn; else classes do.</summary>
    public bool TakesPrompts => Config.Model.Text is not null;

    /// <summary>The features of prompts, by the text encoder that the model was trained with; it is opened when it is first needed.</summary>
    /// <inheritdoc cref="PromptEncoder.Encode"/>
    /// <exception cref="NextPatchException">The text encoder is missing, damaged, or another one.</exception>
    public IReadOnlyList<PromptFeatures> Encode(IReadOnlyList<string> prompts, Action<string>? onNote, CancellationToken cancellation = default)
        => _prompts.Value.Encode(prompts, onNote, cancellation);

    /// <summary>For a model whose files existed only while they were read.</summary>
    public void ForgetTokenizerPath() => TokenizerPath = null;

    /// <summary>Hash of its weights; null when unknown.</summary>
    public string? TokenizerHash => _tokenizerHash is null ? Config.TokenizerHash : _tokenizerHash.GetAwaiter().GetResult();

    /// <param name="model">Whatever <see cref="ModelSource"/> opens.</param>
    /// <param name="tokenizer">Tokenizer folder or weights file, or <see cref="NoTokenizer"/>; null = the recorded one, or <c>tokenizer/</c> in or
    /// beside the run, where there is one.</param>
    /// <param name="kind">Which weights, where there is a choice.</param>
    /// <param name="imageSize">Side of the images in pixels, for files that do not say it; null = 256.</param>
    /// <param name="precision">Arithmetic of the transformer; bfloat16 halves its memory.</param>
    /// <param name="backend">Computes; null = what lies beside the program.</param>
    /// <param name="onConfig">Told the configuration before the weights load, which may take minutes; what it throws ends the loading.</param>
    /// <param name="prompts">The text encoder of a model that captions condition.</param>
    /// <param name="onNote">Receives a warning about it.</param>
    /// <exception cref="NextPatchException">Something is missing or damaged, or model and tokenizer do not belong together.</exception>
    public static SampleModel Load(
        string model, string? tokenizer = null, WeightsKind kind = WeightsKind.Auto, int? imageSize = null,
        ComputePrecision precision = ComputePrecision.Fp32,
        IComputeBackend? backend = null, Action<CheckpointConfig>? onConfig = null, PromptEncoderChoice? prompts = null,
        Action<string>? onNote = null)
    {
        using var source = ModelSource.Open(model, kind);
        var config = source.ResolveConfig(imageSize);
        onConfig?.Invoke(config);
        var path = source.Weights.Path;
        var hash = Task.Run(() =>
        {
            var computed = WeightsHash.ComputeForFile(path);
            CheckpointSums.RequireIntact(path, computed);
            return computed;
        });
        // Weights that are used where they lie may be larger than what can be read in a second: their sum is compared meanwhile.
        var isInPlace = source.Weights.Tensors.Values.Any(t => t is PanelTensor);
        if (!isInPlace && File.Exists(Path.Combine(Path.GetDirectoryName(Path.GetFullPath(path))!, CheckpointSums.FileName)))
        {
            hash.GetAwaiter().GetResult();
        }

        if (source is { Config: not null, Folder: { } folder })
        {
            CheckpointSums.RequireIntact(Path.Combine(folder, "config.json"));
        }

        var tokenizerFolder = tokenizer == NoTokenizer ? null : source.FindTokenizer(tokenizer);
        var tokenizerHash = tokenizerFolder is null ? null : Task.Run(() => WeightsHash.ComputeForTokenizer(tokenizerFolder));
        backend = ComputeBackends.Find(backend);
        var engine = backend.OpenEngine(config.Model, source.Weights, precision);
        IImageTokenizer? decoder = null;
        try
        {
            if (tokenizerFolder is not null)
            {
                decoder = TokenizerSource.Open(backend, tokenizerFolder, config.Model.GridSide);
                RequireFit(config, decoder.Config, tokenizerFolder, tokenizerHash!);
            }

            if (!isInPlace)
            {
                hash.GetAwaiter().GetResult();
                tokenizerHash?.GetAwaiter().GetResult();
            }

            return new SampleModel(engine, config, decoder, source.KindName, hash, tokenizerHash, prompts ?? new PromptEncoderChoice(), onNote)
            {
                Precision = precision == ComputePrecision.Fp32 && source.Weights.Tensors.Values.Any(t => t is QuantizedTensor or PanelTensor)
                    ? ComputePrecision.Int8
                    : precision,
                TokenizerPath = tokenizerFolder is null ? config.TokenizerPath : Path.GetFullPath(tokenizerFolder),
            };
        }
        catch
        {
            engine.Dispose();
            decoder?.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        if (_prompts.IsValueCreated)
        {
            _prompts.Value.Dispose();
        }

        Engine.Dispose();
        Tokenizer?.Dispose();
    }

    private static void RequireFit(CheckpointConfig config, TokenizerConfig own, string folder, Task<string> hash)
    {
        var model = config.Model;
        if (own.GridSide != model.GridSide || own.CodebookSize != model.VocabularySize)
        {
            throw new NextPatchException(
                $"The tokenizer in {folder} has a grid of {own.GridSide}x{own.GridSide} and {own.CodebookSize} codes, "
                + $"but the model draws {model.GridSide}x{model.GridSide} of {model.VocabularySize}; name the tokenizer it was trained with "
                    + $"(Tokenizer).")
            { Settings = ["Tokenizer"] };
        }

        if (config.TokenizerHash is { } expected && hash.GetAwaiter().GetResult() is var found && found != expected)
        {
            throw new NextPatchException(
                $"The tokenizer in {folder} has the hash {found[..12]}, "
                + $"but the model was trained on codes of {expected[..Math.Min(12, expected.Length)]}"
                + $"{(config.TokenizerPath is { } was ? $", whose tokenizer lay in {was}" : "")}: images would be noise. Name the right one with "
                + "Tokenizer.")
            { Settings = ["Tokenizer"] };
        }
    }
}
