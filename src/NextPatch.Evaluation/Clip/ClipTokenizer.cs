using System.IO.Compression;
using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using NextPatch.Core;
using NextPatch.Core.Files;
using NextPatch.Text.Captions;

namespace NextPatch.Evaluation.Clip;

/// <summary>Text as CLIP takes it: byte pairs joined by a list of merges, between a token that begins and one that ends.</summary>
/// <remarks>
/// Source: <c>clip/simple_tokenizer.py</c>. The vocabulary is the order of the merges: 256 bytes, the same at a word's end, one per merge, begin,
/// end. Letters beyond the first 65,536 characters count as signs.
/// </remarks>
internal sealed partial class ClipTokenizer
{
    private const string WordEnd = "</w>";
    private const long MostBytes = 64 << 20;
    private const int SpecialTokens = 2;

    private readonly Dictionary<string, int> _ids = new(StringComparer.Ordinal);
    private readonly Dictionary<(string Left, string Right), int> _ranks = [];
    private readonly string[] _letters = LettersOfBytes();

    private ClipTokenizer(IEnumerable<(string Left, string Right)> merges)
    {
        foreach (var ending in (string[])["", WordEnd])
        {
            foreach (var value in BytesInOrder())
            {
                _ids.Add(_letters[value] + ending, _ids.Count);
            }
        }

        foreach (var merge in merges)
        {
            _ids.TryAdd(merge.Left + merge.Right, (2 * (byte.MaxValue + 1)) + _ranks.Count);
            _ranks.TryAdd(merge, _ranks.Count);
        }

        (Begin, End) = (_ranks.Count + (2 * (byte.MaxValue + 1)), _ranks.Count + (2 * (byte.MaxValue + 1)) + 1);
    }

    /// <summary>Id of what begins a text.</summary>
    public int Begin { get; }

    /// <summary>Id of what ends a text: the largest of all.</summary>
    public int End { get; }

    /// <param name="path"><c>merges.txt</c>, or the published <c>bpe_simple_vocab_16e6.txt.gz</c>.</param>
    /// <param name="vocabulary">Rows of the embedding that it is for.</param>
    /// <exception cref="NextPatchException">Missing or unreadable.</exception>
    /// <exception cref="DataFormatException">No list of merges, or too short for the embedding.</exception>
    public static ClipTokenizer Open(string path, int vocabulary)
    {
        var count = vocabulary - (2 * (byte.MaxValue + 1)) - SpecialTokens;
        var merges = new List<(string, string)>();
        var seen = new HashSet<(string, string)>();
        foreach (var line in Lines(path).Skip(1).Take(Math.Max(count, 0))) // the first line says what it is
        {
            if (line.TrimEnd('\r').Split(' ') is not [{ Length: > 0 } left, { Length: > 0 } right] || !seen.Add((left, right)))
            {
                throw new DataFormatException(
                    $"'{path}', line {merges.Count + 2}: '{PrintableText.From(line.Length > 40 ? line[..40] : line)}' is no new merge of two pieces; "
                    + "CLIP's merges.txt is needed.");
            }

            merges.Add((left, right));
        }

        return count >= 0 && merges.Count == count ? new ClipTokenizer(merges) : throw new DataFormatException(
            $"'{path}' lists {merges.Count} merges, but the weights have {vocabulary} tokens, {Math.Max(count, 0)} of them merges; they do not "
            + "belong together.");
    }

    /// <summary>Ids of a text, without begin and end.</summary>
    public List<int> Encode(string text)
    {
        var clean = TextRepair.Apply(text);
        clean = WebUtility.HtmlDecode(WebUtility.HtmlDecode(clean));
        clean = Blanks().Replace(clean, " ").Trim().ToLowerInvariant();
        var ids = new List<int>();
        foreach (var word in Words().EnumerateMatches(clean))
        {
            AddWord(clean.Substring(word.Index, word.Length), ids);
        }

        return ids;
    }

    /// <summary>The text between begin and end, at most so many ids; the last one is always the end's, and zeros follow.</summary>
    /// <param name="text">Any; its first <see cref="CaptionCleaner.MostCharacters"/> are read.</param>
    /// <param name="length">Ids in all.</param>
    /// <param name="isCut">Whether the text has more.</param>
    public int[] Encode(string text, int length, out bool isCut)
    {
        var read = text[..Math.Min(text.Length, CaptionCleaner.MostCharacters)];
        int[] all = [Begin, .. Encode(read), End];
        isCut = all.Length > length || read.Length < text.Length;
        var ids = new int[length];
        all.AsSpan(0, Math.Min(length, all.Length)).CopyTo(ids);
        ids[Math.Min(length, all.Length) - 1] = End;
        return ids;
    }

    private void AddWord(string word, List<int> ids)
    {
        if (word is "<|startoftext|>" or "<|endoftext|>")
        {
            ids.Add(word == "<|startoftext|>" ? Begin : End);
            return;
        }

        var pieces = Encoding.UTF8.GetBytes(word).Select(value => _letters[value]).ToList();
        pieces[^1] += WordEnd;
        while (Best(pieces) is { } best)
        {
            var joined = new List<string>(pieces.Count);
            for (var i = 0; i < pieces.Count; i++)
            {
                if (i + 1 < pieces.Count && (pieces[i], pieces[i + 1]) == best)
                {
                    joined.Add(pieces[i] + pieces[++i]);
                }
                else
                {
                    joined.Add(pieces[i]);
                }
            }

            pieces = joined;
        }

        ids.AddRange(pieces.Select(piece => _ids[piece]));
    }

    /// <summary>The neighbours that the list joins first; null where it joins none.</summary>
    private (string Left, string Right)? Best(List<string> pieces)
    {
        var (best, rank) = (((string, string)?)null, int.MaxValue);
        for (var i = 0; i + 1 < pieces.Count; i++)
        {
            if (_ranks.TryGetValue((pieces[i], pieces[i + 1]), out var found) && found < rank)
            {
                (best, rank) = ((pieces[i], pieces[i + 1]), found);
            }
        }

        return best;
    }

    private static IEnumerable<string> Lines(string path)
    {
        using var file = TextFile.Open(path);
        if (file.Length > MostBytes)
        {
            throw new DataFormatException($"'{path}' has {file.Length} bytes; CLIP's list of merges has about one million.");
        }

        var isPacked = path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase);
        using var lines = TextFile.ReadLines(path, isPacked ? new GZipStream(file, CompressionMode.Decompress) : file).GetEnumerator();
        for (var characters = 0L; MoveNext();)
        {
            characters += lines.Current.Text.Length + 1;
            yield return characters <= MostBytes ? lines.Current.Text : throw new DataFormatException(
                $"'{path}' unpacks to more than {MostBytes} characters.");
        }

        bool MoveNext()
        {
            try
            {
                return lines.MoveNext();
            }
            catch (InvalidDataException e)
            {
                throw new DataFormatException($"'{path}' is damaged: {e.Message}", e);
            }
        }
    }

    /// <summary>Visible bytes first, as the published table has them.</summary>
    private static IEnumerable<int> BytesInOrder() => Visible().Concat(Enumerable.Range(0, 256).Except(Visible()));

    private static IEnumerable<int> Visible()
        => Enumerable.Range(0, 256).Where(value => value is (>= '!' and <= '~') or (>= 0xa1 and <= 0xac) or >= 0xae);

    /// <summary>A character for each byte: itself where it is visible, else the next beyond 255.</summary>
    private static string[] LettersOfBytes()
    {
        var letters = new string[256];
        foreach (var (i, value) in BytesInOrder().Index())
        {
            letters[value] = ((char)(i < Visible().Count() ? value : 256 + i - Visible().Count())).ToString();
        }

        return letters;
    }

    [GeneratedRegex(@"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+", RegexOptions.IgnoreCase)]
    private static partial Regex Words();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Blanks();
}
