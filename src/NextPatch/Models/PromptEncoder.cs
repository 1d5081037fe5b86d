using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Text.Captions;
using NextPatch.Text.Encoders;

namespace NextPatch.Models;

/// <summary>Prompts in, features out, as a model's captions went in when it was trained. May be called from any thread; callers take turns.</summary>
internal sealed class PromptEncoder : IDisposable
{
    private const int ShownPrompt = 60;

    private readonly Lock _gate = new();
    private readonly TextEncoder _encoder;
    private readonly bool _isCleaned;
    private readonly int _mostTokens;

    private PromptEncoder(TextEncoder encoder, bool isCleaned, int mostTokens)
        => (_encoder, _isCleaned, _mostTokens) = (encoder, isCleaned, mostTokens);

    /// <summary>The encoder's name, for records.</summary>
    public string Name => _encoder.Name;

    /// <summary>Opens the encoder that is named, or the one that the model remembers.</summary>
    /// <param name="model">A model that captions condition.</param>
    /// <param name="choice">What a person names.</param>
    /// <param name="onNote">Receives a warning.</param>
    /// <exception cref="NextPatchException">It is missing, damaged, or another one than the model was trained with.</exception>
    public static PromptEncoder Open(CheckpointConfig model, PromptEncoderChoice choice, Action<string>? onNote = null)
    {
        var (text, origin) = (model.Model.Text!, model.TextFeatures?.MaxBy(features => features.Share));
        var encoder = TextEncoder.Open(Find(choice, origin), choice.Tokenizer ?? (choice.Encoder is null ? origin?.TokenizerPath : null));
        try
        {
            if (encoder.Width != text.FeatureWidth)
            {
                throw Wrong($"The text encoder '{encoder.Name}' gives {encoder.Width} numbers per token, but this model takes {text.FeatureWidth}"
                    + $"{(origin?.Encoder is { } was ? $", those of {was}" : "")}. Name the encoder that it was trained with (TextEncoder).");
            }

            RequireSame(encoder, origin, isNamed: choice.Encoder is not null, onNote);
            var isCleaned = choice.IsCleaned ?? origin?.Clean is null or "published";
            return new PromptEncoder(encoder, isCleaned, Math.Min(text.TokenCount, origin?.MaxTokens ?? text.TokenCount));
        }
        catch
        {
            encoder.Dispose();
            throw;
        }
    }

    /// <summary>The features of prompts; equal prompts are one object.</summary>
    /// <param name="prompts">Any texts.</param>
    /// <param name="onNote">Receives a sentence about each prompt of which something is lost.</param>
    /// <param name="cancellation">Checked between prompts.</param>
    public IReadOnlyList<PromptFeatures> Encode(
        IReadOnlyList<string> prompts, Action<string>? onNote = null, CancellationToken cancellation = default)
    {
        var known = new Dictionary<string, PromptFeatures>(StringComparer.Ordinal);
        foreach (var prompt in prompts)
        {
            cancellation.ThrowIfCancellationRequested();
            if (!known.ContainsKey(prompt))
            {
                known[prompt] = EncodeOne(prompt, onNote, cancellation);
            }
        }

        return [.. prompts.Select(prompt => known[prompt])];
    }

    public void Dispose() => _encoder.Dispose();

    private PromptFeatures EncodeOne(string prompt, Action<string>? onNote, CancellationToken cancellation)
    {
        var isLong = prompt.Length > CaptionCleaner.MostCharacters;
        var text = _isCleaned ? CaptionCleaner.Clean(prompt) : isLong ? prompt[..CaptionCleaner.MostCharacters] : prompt;
        if (string.IsNullOrWhiteSpace(text) && prompt.Length > 0)
        {
            onNote?.Invoke(string.IsNullOrWhiteSpace(prompt)
                ? $"The prompt '{Shown(prompt)}' is blank: it is drawn as an empty one. Say what the image is to show."
                : $"Cleaning leaves nothing of the prompt '{Shown(prompt)}': it is drawn as an empty one. Say it in other words, or leave the "
                + "cleaning out where the model was trained so.");
        }

        lock (_gate)
        {
            var tokens = _encoder.Tokens(text, _mostTokens, out var isCut);
            if (isCut || isLong)
            {
                onNote?.Invoke(
                    $"The prompt '{Shown(prompt)}' is cut: the model reads {_mostTokens} tokens, of at most {CaptionCleaner.MostCharacters} "
                    + "characters.");
            }

            return new PromptFeatures(prompt, _encoder.Encode([tokens], cancellation), _encoder.Width);
        }
    }

    private static string Find(PromptEncoderChoice choice, TextFeatureOrigin? origin)
    {
        if (choice.Encoder is not null)
        {
            return choice.Encoder;
        }

        if (origin?.EncoderHash == FormulaText.Name)
        {
            return TextEncoder.Formula;
        }

        var known = origin?.EncoderPath ?? origin?.Encoder;
        return origin?.EncoderPath is { } path && Path.Exists(path) ? path : throw Wrong(
            $"This model draws from prompts, and {(known is null ? "nothing says which text encoder it was trained with"
                : $"its text encoder '{known}' is not there any more")}. Name one with TextEncoder: weights of a T5, for published models "
            + "flan-t5-xl.");
    }

    private static void RequireSame(TextEncoder encoder, TextFeatureOrigin? origin, bool isNamed, Action<string>? onNote)
    {
        if (origin?.EncoderHash is not { } hash || (encoder.Hash == hash && (origin.TokenizerHash ?? encoder.TokenizerHash) == encoder.TokenizerHash))
        {
            return;
        }

        var difference = $"The text encoder '{encoder.Name}' is not, byte for byte, the '{origin.Encoder}' whose features this model was trained on";

        // The same weights in another format have another hash; a formula has none but itself.
        if (isNamed && !encoder.IsFormula && hash != FormulaText.Name)
        {
            onNote?.Invoke($"{difference}. If it is not the same one in another format, images will not show what prompts say.");
            return;
        }

        throw Wrong($"{difference}: images would not show what prompts say. Name that one with TextEncoder.");
    }

    private static string Shown(string prompt) => PrintableText.From(prompt.Length <= ShownPrompt ? prompt : prompt[..ShownPrompt] + "...");

    private static NextPatchException Wrong(string message) => new(message) { Settings = ["TextEncoder"] };
}

/// <summary>The text encoder that a person names; what is null is as the model remembers it.</summary>
/// <param name="Encoder">Weights of a T5, or "formula".</param>
/// <param name="Tokenizer">The SentencePiece model; null: beside the weights.</param>
/// <param name="IsCleaned">Whether prompts are cleaned as published.</param>
internal sealed record PromptEncoderChoice(string? Encoder = null, string? Tokenizer = null, bool? IsCleaned = null);
