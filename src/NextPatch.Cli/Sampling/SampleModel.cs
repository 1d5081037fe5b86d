using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Torch.Generation;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Tokenizer;
using NextPatch.Training.Gpt;

namespace NextPatch.Cli.Sampling;

/// <summary>A trained model ready to draw, with the tokenizer that turns its codes into images.</summary>
internal sealed class SampleModel : IDisposable
{
    private SampleModel(IGenerationEngine engine, CheckpointConfig config, VqTokenizer? tokenizer, string weightsKind, string hash)
    {
        Engine = engine;
        Config = config;
        Tokenizer = tokenizer;
        WeightsKind = weightsKind;
        Hash = hash;
    }

    public IGenerationEngine Engine { get; }

    public CheckpointConfig Config { get; }

    /// <summary>Null: codes can be drawn but not shown.</summary>
    public VqTokenizer? Tokenizer { get; }

    /// <summary>ema or model.</summary>
    public string WeightsKind { get; }

    /// <summary><see cref="WeightsHash"/> of the weights in use.</summary>
    public string Hash { get; }

    /// <param name="model">Checkpoint folder, or run folder whose newest checkpoint is meant.</param>
    /// <param name="tokenizer">Tokenizer folder; null = <c>tokenizer/</c> in or beside the run, where there is one.</param>
    /// <param name="weightsKind">ema or model; null = ema where the checkpoint has it.</param>
    /// <exception cref="NextPatchException">Something is missing or damaged, or model and tokenizer do not belong together.</exception>
    public static SampleModel Load(string model, string? tokenizer = null, string? weightsKind = null)
    {
        var checkpoint = CheckpointFolder.Resolve(model);
        var config = ConfigJson.Read(Path.Combine(checkpoint, "config.json"), ConfigJson.Default.CheckpointConfig);
        var kind = weightsKind ?? (File.Exists(Path.Combine(checkpoint, "ema.safetensors")) ? "ema" : "model");
        var weights = Path.Combine(checkpoint, kind + ".safetensors");
        if (!File.Exists(weights))
        {
            throw new NextPatchException($"{checkpoint} has no {kind}.safetensors; use --weights {(kind == "ema" ? "model" : "ema")}.");
        }

        var tokenizerFolder = tokenizer ?? FindTokenizer(checkpoint);
        var gpt = new GptModel(config.Model);
        VqTokenizer? decoder = null;
        try
        {
            StateLoader.Load(gpt, SafetensorsFile.Read(weights), weights);
            if (tokenizerFolder is not null)
            {
                decoder = VqTokenizer.Load(tokenizerFolder);
                RequireFit(config, decoder, tokenizerFolder);
            }

            return new SampleModel(new TorchGenerationEngine(gpt), config, decoder, kind, WeightsHash.OfFile(weights));
        }
        catch
        {
            gpt.Dispose();
            decoder?.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        Engine.Dispose();
        Tokenizer?.Dispose();
    }

    private static string? FindTokenizer(string checkpoint)
    {
        // In the checkpoint, in its run, beside the run.
        var full = Path.GetFullPath(checkpoint);
        return new[] { full, Path.GetDirectoryName(full), Path.GetDirectoryName(Path.GetDirectoryName(full)) }
            .Where(folder => folder is not null)
            .Select(folder => Path.Combine(folder!, "tokenizer"))
            .FirstOrDefault(folder => File.Exists(Path.Combine(folder, "model.safetensors")));
    }

    private static void RequireFit(CheckpointConfig config, VqTokenizer tokenizer, string folder)
    {
        var (own, model) = (tokenizer.Config, config.Model);
        if (own.GridSide != model.GridSide || own.CodebookSize != model.VocabularySize)
        {
            throw new NextPatchException(
                $"The tokenizer in {folder} has a grid of {own.GridSide}x{own.GridSide} and {own.CodebookSize} codes, but the model draws {model.GridSide}x{model.GridSide} of {model.VocabularySize}; name the tokenizer it was trained with (--tokenizer).");
        }

        if (config.TokenizerHash is { } expected && WeightsHash.OfTokenizer(folder) is var found && found != expected)
        {
            throw new NextPatchException(
                $"The tokenizer in {folder} has the hash {found[..12]}, but the model was trained on codes of {expected[..Math.Min(12, expected.Length)]}: images would be noise. Name the right one with --tokenizer.");
        }
    }
}
