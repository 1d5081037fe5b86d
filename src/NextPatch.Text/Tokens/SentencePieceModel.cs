using System.Buffers.Binary;
using System.Text;
using NextPatch.Core;
using NextPatch.Core.Files;

namespace NextPatch.Text.Tokens;

/// <summary>What a SentencePiece model file says: pieces with their scores, and how text is normalised.</summary>
/// <remarks>Source: <c>sentencepiece_model.proto</c>. Only unigram models without byte pieces are read, as T5's is one.</remarks>
internal sealed class SentencePieceModel
{
    private const long MostBytes = 64 << 20;
    private const int MostPieceBytes = 1024;
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly string _path;
    private readonly List<Piece> _pieces = [];

    private SentencePieceModel(string path) => _path = path;

    /// <summary>By id.</summary>
    public IReadOnlyList<Piece> Pieces => _pieces;

    /// <summary>The id of what no piece covers.</summary>
    public int UnknownId { get; private set; } = -1;

    /// <summary>The id that ends a text.</summary>
    public int EndId { get; private set; } = -1;

    /// <summary>How characters are replaced before anything else; null where they are not.</summary>
    public CharacterMap? Characters { get; private set; }

    /// <summary>Whether a blank is put in front.</summary>
    public bool AddsBlank { get; private set; } = true;

    /// <summary>Whether blanks at both ends and doubled ones go.</summary>
    public bool RemovesBlanks { get; private set; } = true;

    /// <exception cref="NextPatchException">Missing or unreadable.</exception>
    /// <exception cref="DataFormatException">No SentencePiece model, damaged, or of another kind than unigram.</exception>
    public static SentencePieceModel Read(string path)
    {
        var model = new SentencePieceModel(path);
        model.Parse(TextFile.ReadUtf8(path, MostBytes));
        return model;
    }

    private void Parse(byte[] file)
    {
        foreach (var field in new ProtobufFields(file, _path))
        {
            switch (field.Number)
            {
                case 1:
                    _pieces.Add(ParsePiece(field.Bytes(file)));
                    break;
                case 2:
                    ParseTrainer(field.Bytes(file));
                    break;
                case 3:
                    ParseNormalizer(field.Bytes(file));
                    break;
            }
        }

        UnknownId = _pieces.FindIndex(p => p.Kind == PieceKind.Unknown);
        EndId = _pieces.FindIndex(p => p is { Kind: PieceKind.Control, Text: "</s>" });
        if (UnknownId < 0 || EndId < 0)
        {
            throw Damaged($"{_pieces.Count} pieces, among them no "
                + $"{(UnknownId < 0 ? "unknown one" : "end of text, </s>")}; T5's spiece.model has 32,000 and both");
        }
    }

    private Piece ParsePiece(ReadOnlyMemory<byte> bytes)
    {
        var (text, score, kind) = ("", 0f, PieceKind.Normal);
        foreach (var field in new ProtobufFields(bytes, _path))
        {
            switch (field.Number)
            {
                case 1:
                    text = Text(field.Bytes(bytes));
                    break;
                case 2:
                    score = BinaryPrimitives.ReadSingleLittleEndian(field.Bytes(bytes, 4).Span);
                    break;
                case 3:
                    kind = (PieceKind)field.Value;
                    break;
            }
        }

        return text.Length == 0 || !float.IsFinite(score) || !Enum.IsDefined(kind)
            ? throw Damaged($"piece {_pieces.Count} has the text '{PrintableText.From(text)}', score {score} and kind {(int)kind}")
            : kind == PieceKind.Byte
                ? throw new DataFormatException($"'{_path}' falls back to bytes; only models without byte pieces are read, as T5's is one.")
                : new Piece(text, score, kind);
    }

    private string Text(ReadOnlyMemory<byte> bytes)
    {
        try
        {
            return bytes.Length <= MostPieceBytes ? Strict.GetString(bytes.Span) : throw Damaged($"a piece of {bytes.Length} bytes");
        }
        catch (DecoderFallbackException e)
        {
            throw new DataFormatException($"'{_path}' is no whole SentencePiece model: piece {_pieces.Count} is no UTF-8.", e);
        }
    }

    private void ParseTrainer(ReadOnlyMemory<byte> bytes)
    {
        const int ModelType = 3, SuffixBlanks = 24, ByteFallback = 35;
        foreach (var field in new ProtobufFields(bytes, _path))
        {
            if (field is { Number: ModelType, Value: not 1 } or { Number: SuffixBlanks or ByteFallback, Value: not 0 })
            {
                throw new DataFormatException(
                    $"'{_path}' is a SentencePiece model of another kind (field {field.Number} is {field.Value}); unigram models are read, as T5's "
                    + "is one.");
            }
        }
    }

    private void ParseNormalizer(ReadOnlyMemory<byte> bytes)
    {
        foreach (var field in new ProtobufFields(bytes, _path))
        {
            switch (field.Number)
            {
                case 2 when field.Bytes(bytes) is { Length: > 0 } map:
                    Characters = CharacterMap.Read(map, _path);
                    break;
                case 3:
                    AddsBlank = field.Value != 0;
                    break;
                case 4:
                    RemovesBlanks = field.Value != 0;
                    break;
                case 5 when field.Value == 0:
                    throw new DataFormatException($"'{_path}' keeps blanks as they are; models that write them as U+2581 are read, as T5's is one.");
            }
        }
    }

    private DataFormatException Damaged(string what) => new($"'{_path}' is no whole SentencePiece model: {what}. Fetch it again.");
}

/// <summary>A piece of a vocabulary.</summary>
/// <param name="Text">Blanks are U+2581.</param>
/// <param name="Score">Logarithm of its probability.</param>
/// <param name="Kind">What it is for.</param>
internal readonly record struct Piece(string Text, float Score, PieceKind Kind);

/// <summary>As the format numbers them.</summary>
internal enum PieceKind
{
    Normal = 1,
    Unknown = 2,
    Control = 3,
    UserDefined = 4,
    Unused = 5,
    Byte = 6,
}
