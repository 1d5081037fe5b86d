using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Tensors;
using NextPatch.Text.Tokens;

namespace NextPatch.Text.Encoders;

/// <summary>Captions in, features out: a tokenizer and a T5 encoder. One caller at a time.</summary>
internal sealed class TextEncoder : IDisposable
{
    /// <summary>What a path may be instead: the encoder that needs no file.</summary>
    public const string Formula = "formula";

    private readonly IT5Encoder _encoder;
    private readonly ITokenizer _tokenizer;
    private readonly WeightsFile? _weights;

    private TextEncoder(IT5Encoder encoder, ITokenizer tokenizer, WeightsFile? weights, string name, string hash)
    {
        (_encoder, _tokenizer, _weights, Name, Hash) = (encoder, tokenizer, weights, name, hash);
        if (tokenizer.VocabularySize > encoder.Config.VocabularySize)
        {
            weights?.Dispose();
            throw new NextPatchException(
                $"The SentencePiece model has {tokenizer.VocabularySize} pieces but the encoder '{name}' only {encoder.Config.VocabularySize}; "
                    + $"they do "
                + "not belong together.");
        }
    }

    /// <summary>Name of the file of weights, or of the formula.</summary>
    public string Name { get; }

    /// <summary>SHA-256 of the weights, or the name of the formula.</summary>
    public string Hash { get; }

    /// <summary>Full path of the weights; null of the formula.</summary>
    public string? Path { get; private init; }

    /// <summary>Full path of the tokenizer; null of the formula's.</summary>
    public string? TokenizerPath { get; private init; }

    /// <summary>The same of the tokenizer.</summary>
    public string TokenizerHash => _tokenizer.Hash;

    /// <summary>Numbers per token.</summary>
    public int Width => _encoder.Config.Width;

    /// <inheritdoc cref="IT5Encoder.Engine"/>
    public string Engine => _encoder.Engine;

    /// <summary>Whether nothing was ever learned.</summary>
    public bool IsFormula => _weights is null;

    /// <param name="encoder">Weights of a T5 (file, shards' index or folder), or <see cref="Formula"/>.</param>
    /// <param name="tokenizer">The SentencePiece model; null for spiece.model beside the weights.</param>
    /// <param name="engine">Makes what computes of weights and the name of their file; null for <see cref="T5Encoder"/>.</param>
    /// <param name="cancellation">Stops hashing.</param>
    /// <exception cref="NextPatchException">Something is missing, damaged or does not fit.</exception>
    public static TextEncoder Open(
        string encoder, string? tokenizer = null, Func<IReadOnlyDictionary<string, StoredTensor>, string, IT5Encoder>? engine = null,
        CancellationToken cancellation = default)
    {
        engine ??= (tensors, source) => new T5Encoder(tensors, source);
        if (encoder == Formula)
        {
            return tokenizer is null
                ? new TextEncoder(engine(FormulaText.Tensors(), Formula), new FormulaTokenizer(), null, FormulaText.Name, FormulaText.Name)
                : throw new ConfigException("The encoder by formula has words of its own: leave Tokenizer out.") { Settings = ["Tokenizer"] };
        }

        var weights = WeightsFile.Open(encoder, WeightsKind.Model);
        try
        {
            tokenizer ??= System.IO.Path.Combine(System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(weights.Path))!, "spiece.model");
            if (!File.Exists(tokenizer))
            {
                throw new NextPatchException(
                    $"T5 needs its SentencePiece model: '{tokenizer}' does not exist. Put spiece.model beside the weights or name it by Tokenizer.")
                { Settings = ["Tokenizer"] };
            }

            return new TextEncoder(
                engine(weights.Tensors, weights.Path), UnigramTokenizer.Open(tokenizer), weights, System.IO.Path.GetFileName(weights.Path),
                FileHash.ComputeForWeights(weights.Path, cancellation))
            {
                Path = System.IO.Path.GetFullPath(encoder), TokenizerPath = System.IO.Path.GetFullPath(tokenizer),
            };
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    /// <summary>Token ids of a caption, at most so many; the last one is the end's.</summary>
    /// <param name="caption">Cleaned or not.</param>
    /// <param name="mostTokens">At least 1.</param>
    /// <param name="isCut">Whether the caption has more.</param>
    public int[] Tokens(string caption, int mostTokens, out bool isCut)
    {
        var ids = _tokenizer.Encode(caption);
        isCut = ids.Length > mostTokens;
        return isCut ? [.. ids[..(mostTokens - 1)], ids[^1]] : ids;
    }

    /// <inheritdoc cref="IT5Encoder.Encode"/>
    public float[] Encode(IReadOnlyList<int[]> texts, CancellationToken cancellation = default) => _encoder.Encode(texts, cancellation);

    public void Dispose()
    {
        _encoder.Dispose();
        _weights?.Dispose();
    }
}
