using System.CommandLine;
using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Models;
using NextPatch.Text.Features;

namespace NextPatch.Cli.Sampling;

/// <summary>The options that say which text encoder reads prompts.</summary>
internal sealed class PromptOptions
{
    private readonly Option<string?> _encoder = new("--text-encoder")
    {
        Description = "Text encoder of a model that takes prompts: weights of a T5 (for published models flan-t5-xl), or 'formula'. [default: the "
            + "one that the run remembers]", HelpName = "path|formula",
    };

    private readonly Option<string?> _tokenizer = new("--text-tokenizer")
    {
        Description = "Its SentencePiece model. [default: the one that the run remembers, or spiece.model beside the weights]", HelpName = "path",
    };

    private readonly Option<CaptionCleaning?> _clean = new("--clean")
    {
        Description = "published: what LlamaGen's captions went through. none: prompts as they stand. [default: as the run's captions, else "
            + "published]",
        HelpName = "published|none",
    };

    public IReadOnlyList<Option> All => [_encoder, _tokenizer, _clean];

    public void AddTo(Command command)
    {
        foreach (var option in All)
        {
            command.Add(option);
        }
    }

    public PromptEncoderChoice Read(ParseResult parsed) => new(
        parsed.GetValue(_encoder), parsed.GetValue(_tokenizer),
        parsed.GetValue(_clean) is { } cleaning ? cleaning == CaptionCleaning.Published : null);

    /// <summary>The features of prompts; the encoder's memory is free again afterwards.</summary>
    public static IReadOnlyList<PromptFeatures> Encode(
        IReadOnlyList<string> prompts, CheckpointConfig model, PromptEncoderChoice choice, Action<string> onNote, CancellationToken cancellation)
    {
        using var encoder = PromptEncoder.Open(model, choice, onNote);
        return encoder.Encode(prompts, onNote, cancellation);
    }

    /// <summary>The prompts of a file (<see cref="CaptionFile"/>), or those that are given; null: neither.</summary>
    /// <exception cref="ConfigException">Both, or a file without any.</exception>
    public static IReadOnlyList<string>? From(IReadOnlyList<string>? given, string? file)
    {
        if (file is null)
        {
            return given is { Count: > 0 } ? given : null;
        }

        if (given is { Count: > 0 })
        {
            throw new ConfigException("--prompt and --prompts exclude each other; put all prompts into the file.");
        }

        var prompts = CaptionFile.Read(file, 0).Where(caption => caption.Problem is null).Select(caption => caption.Text!).ToList();
        return prompts.Count > 0 ? prompts : throw new ConfigException($"'{file}' holds no prompt.");
    }
}
