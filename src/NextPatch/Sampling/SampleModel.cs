using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Models;

namespace NextPatch.Sampling;

/// <summary>A trained model ready to draw, with the tokenizer that turns its codes into images.</summary>
internal sealed class SampleModel : IDisposable
{
    /// <summary>Instead of a tokenizer's path: codes are wanted, not images.</summary>
    public const string NoTokenizer = "none";

    private SampleModel(IGenerationEngine engine, CheckpointConfig config, IImageTokenizer? tokenizer, string kindName, string hash)
    {
        Engine = engine;
        Config = config;
        Tokenizer = tokenizer;
        KindName = kindName;
        Hash = hash;
    }

    public IGenerationEngine Engine { get; }

    public CheckpointConfig Config { get; }

    /// <summary>Null: codes can be drawn but not shown.</summary>
    public IImageTokenizer? Tokenizer { get; }

    /// <summary>ema or model.</summary>
    public string KindName { get; }

    /// <summary><see cref="WeightsHash"/> of the weights in use.</summary>
    public string Hash { get; }

    /// <summary>Where <see cref="Tokenizer"/> lies; without one, where the tokenizer of the codes lay, null when unknown.</summary>
    public string? TokenizerPath { get; private set; }

    /// <summary>For a model whose files existed only while they were read.</summary>
    public void ForgetTokenizerPath() => TokenizerPath = null;

    /// <summary>Hash of its weights; null when unknown.</summary>
    public string? TokenizerHash { get; private init; }

    /// <param name="model">Whatever <see cref="ModelSource"/> opens.</param>
    /// <param name="tokenizer">Tokenizer folder or weights file, or <see cref="NoTokenizer"/>; null = the recorded one, or <c>tokenizer/</c> in or
    /// beside the run, where there is one.</param>
    /// <param name="kind">Which weights, where there is a choice.</param>
    /// <param name="imageSize">Side of the images in pixels, for files that do not say it; null = 256.</param>
    /// <param name="precision">Arithmetic of the transformer; bfloat16 halves its memory.</param>
    /// <param name="backend">Computes; null = what lies beside the program.</param>
    /// <param name="onConfig">Told the configuration before the weights load, which may take minutes; what it throws ends the loading.</param>
    /// <exception cref="NextPatchException">Something is missing or damaged, or model and tokenizer do not belong together.</exception>
    public static SampleModel Load(
        string model, string? tokenizer = null, WeightsKind kind = WeightsKind.Auto, int? imageSize = null,
        ComputePrecision precision = ComputePrecision.Fp32,
        IComputeBackend? backend = null, Action<CheckpointConfig>? onConfig = null)
    {
        using var source = ModelSource.Open(model, kind);
        var config = source.ResolveConfig(imageSize);
        onConfig?.Invoke(config);
        var hash = WeightsHash.ComputeForFile(source.Weights.Path);
        CheckpointSums.RequireIntact(source.Weights.Path, hash);
        if (source is { Config: not null, Folder: { } folder })
        {
            CheckpointSums.RequireIntact(Path.Combine(folder, "config.json"));
        }

        var tokenizerFolder = tokenizer == NoTokenizer ? null : source.FindTokenizer(tokenizer);
        backend = ComputeBackends.Find(backend);
        var engine = backend.OpenEngine(config.Model, source.Weights, precision);
        IImageTokenizer? decoder = null;
        try
        {
            if (tokenizerFolder is not null)
            {
                decoder = TokenizerSource.Open(backend, tokenizerFolder, config.Model.GridSide);
                RequireFit(config, decoder.Config, tokenizerFolder);
            }

            return new SampleModel(engine, config, decoder, source.KindName, hash)
            {
                TokenizerPath = tokenizerFolder is null ? config.TokenizerPath : Path.GetFullPath(tokenizerFolder),
                TokenizerHash = tokenizerFolder is null ? config.TokenizerHash : WeightsHash.ComputeForTokenizer(tokenizerFolder),
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
        Engine.Dispose();
        Tokenizer?.Dispose();
    }

    private static void RequireFit(CheckpointConfig config, TokenizerConfig own, string folder)
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

        if (config.TokenizerHash is { } expected && WeightsHash.ComputeForTokenizer(folder) is var found && found != expected)
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
