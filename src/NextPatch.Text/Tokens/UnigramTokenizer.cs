using System.Text;
using NextPatch.Core.Checkpoints;

namespace NextPatch.Text.Tokens;

/// <summary>
/// The most probable way to make a text of a SentencePiece vocabulary (Kudo 2018, unigram model): what <c>spm_encode</c> gives, id for id.
/// </summary>
internal sealed class UnigramTokenizer : ITokenizer
{
    private const char Blank = '\u2581';

    /// <summary>How much less probable than any piece an unknown character is.</summary>
    private const float UnknownPenalty = 10;

    private readonly SentencePieceModel _model;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _ids;
    private readonly float[] _scores;
    private readonly float _unknownScore;
    private readonly int _longest;

    public UnigramTokenizer(SentencePieceModel model, string hash)
    {
        _model = model;
        Hash = hash;
        var ids = new Dictionary<string, int>(model.Pieces.Count, StringComparer.Ordinal);
        var normal = model.Pieces.Where(p => p.Kind == PieceKind.Normal).Select(p => p.Score).DefaultIfEmpty(0);
        var (least, most) = (normal.Min(), normal.Max());
        _scores = new float[model.Pieces.Count];
        for (var i = 0; i < _scores.Length; i++)
        {
            var piece = model.Pieces[i];
            if (piece.Kind is PieceKind.Normal or PieceKind.UserDefined)
            {
                ids.TryAdd(piece.Text, i);
                _longest = Math.Max(_longest, piece.Text.Length);
                _scores[i] = piece.Kind == PieceKind.Normal ? piece.Score : (Encoding.UTF8.GetByteCount(piece.Text) * most) - 0.1f;
            }
        }

        _unknownScore = least - UnknownPenalty;
        _ids = ids.GetAlternateLookup<ReadOnlySpan<char>>();
    }

    public string Hash { get; }

    public int VocabularySize => _model.Pieces.Count;

    /// <inheritdoc cref="SentencePieceModel.Read"/>
    public static UnigramTokenizer Open(string path) => new(SentencePieceModel.Read(path), FileHash.Compute(path));

    public int[] Encode(string text)
    {
        var normal = Normalize(text);
        var best = new (float Score, int Start, int Id)[normal.Length + 1];
        Array.Fill(best, (0, -1, 0));
        for (var start = 0; start < normal.Length;)
        {
            var characterLength = char.IsHighSurrogate(normal[start]) && start + 1 < normal.Length ? 2 : 1;
            var isCovered = false;
            for (var length = 1; length <= Math.Min(_longest, normal.Length - start); length++)
            {
                if (_ids.TryGetValue(normal.AsSpan(start, length), out var id))
                {
                    Offer(start, length, id, _scores[id]);
                    isCovered |= length == characterLength;
                }
            }

            if (!isCovered)
            {
                Offer(start, characterLength, _model.UnknownId, _unknownScore);
            }

            start += characterLength;
        }

        var ids = new List<int> { _model.EndId };
        for (var end = normal.Length; end > 0; end = best[end].Start)
        {
            // Unknown characters in a row are one.
            if (best[end].Id != _model.UnknownId || ids[^1] != _model.UnknownId)
            {
                ids.Add(best[end].Id);
            }
        }

        ids.Reverse();
        return [.. ids];

        void Offer(int start, int length, int id, float score)
        {
            ref var target = ref best[start + length];
            if (target.Start < 0 || best[start].Score + score > target.Score)
            {
                target = (best[start].Score + score, start, id);
            }
        }
    }

    /// <summary>The text as pieces are cut from it: characters replaced, blanks single and U+2581.</summary>
    internal string Normalize(string text)
    {
        var from = Encoding.UTF8.GetBytes(text).AsSpan();
        var to = new List<byte>(from.Length + 3);
        var isAfterBlank = _model.RemovesBlanks;
        while (!from.IsEmpty)
        {
            var taken = 0;
            var replacement = ReadOnlySpan<byte>.Empty;
            if (_model.Characters is { } map)
            {
                taken = map.Find(from, out replacement);
            }

            if (taken == 0)
            {
                _ = Rune.DecodeFromUtf8(from, out _, out taken);
                replacement = from[..taken];
            }

            foreach (var value in replacement)
            {
                if (value != ' ' || !isAfterBlank)
                {
                    to.Add(value);
                }

                isAfterBlank = _model.RemovesBlanks && value == ' ';
            }

            from = from[taken..];
        }

        while (_model.RemovesBlanks && to is [.., (byte)' '])
        {
            to.RemoveAt(to.Count - 1);
        }

        var normal = Encoding.UTF8.GetString([.. to]).Replace(' ', Blank);
        return normal.Length > 0 && _model.AddsBlank ? Blank + normal : normal;
    }
}
