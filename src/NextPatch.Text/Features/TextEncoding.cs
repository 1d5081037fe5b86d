using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using NextPatch.Core;
using NextPatch.Core.Files;
using NextPatch.Text.Captions;
using NextPatch.Text.Encoders;

namespace NextPatch.Text.Features;

/// <summary>Turns a file of captions into features, resumable; the same captions give the same bytes.</summary>
internal static class TextEncoding
{
    /// <summary>Says in the folder what its features are.</summary>
    public const string SettingsFile = "encoding.json";

    /// <summary>Tokens per call of the encoder: weights are then read once for many captions.</summary>
    private const int TokensAtOnce = 512;

    /// <param name="options">What to encode, and where to.</param>
    /// <param name="progress">Captions done.</param>
    /// <param name="cancellation">Stops after the captions at hand; the same call continues.</param>
    /// <exception cref="NextPatchException">Something is missing, damaged or does not fit; the folder holds features of other settings.</exception>
    public static TextEncodingResult Run(TextEncodingOptions options, IProgress<int>? progress, CancellationToken cancellation)
    {
        RequireAny(options);
        var captions = CaptionFile.Read(options.Captions, options.CaptionIndex);
        using var encoder = TextEncoder.Open(options.Encoder, options.Tokenizer, options.Engine, cancellation);
        Directory.CreateDirectory(options.Output);
        using var folder = FolderLock.Take(options.Output, "encoding.lock", leavesNothing: true);
        var settings = Settings(options, encoder, cancellation);
        RequireSame(options.Output, settings, encoder);

        var result = new TextEncodingResult { Output = options.Output, Encoder = encoder.Name, IsFormula = encoder.IsFormula, Width = encoder.Width };
        var isWhole = options.Layout == FeatureLayout.Store && File.Exists(Path.Combine(options.Output, FeatureStore.Features));
        using IFeatureWriter? writer = isWhole ? null
            : options.Layout == FeatureLayout.Store
                ? new StoreWriter(options.Output, encoder.Width)
                : new PublishedWriter(options.Output, encoder.Width);
        var batch = new List<(Caption Caption, ulong Hash, int[] Tokens)>();
        foreach (var caption in captions)
        {
            cancellation.ThrowIfCancellationRequested();
            var (hash, tokens) = Prepare(caption, options, encoder, result);
            result.Count++;
            if (writer?.Has(result.Count - 1, caption) == false)
            {
                batch.Add((caption, hash, tokens));
            }

            if (batch.Sum(c => c.Tokens.Length) >= TokensAtOnce || batch.Count >= TokensAtOnce)
            {
                Encode(batch, encoder, writer!, cancellation);
                progress?.Report(result.Count);
            }
        }

        Encode(batch, encoder, writer, cancellation);
        writer?.Finish();
        progress?.Report(result.Count);
        AtomicFile.WriteText(Path.Combine(options.Output, SettingsFile), Json(settings, encoder, result));
        return result;
    }

    private static void RequireAny(TextEncodingOptions options)
    {
        var reasons = new SortedDictionary<string, int>(StringComparer.Ordinal);
        foreach (var caption in CaptionFile.Read(options.Captions, options.CaptionIndex))
        {
            if (caption.Problem is not { } problem)
            {
                return;
            }

            reasons[problem] = reasons.GetValueOrDefault(problem) + 1;
        }

        throw new NextPatchException(
            $"'{options.Captions}' holds no caption that can be used{(reasons.Count == 0 ? ""
                : $" ({string.Join(", ", reasons.Select(r => $"{r.Key}: {r.Value} lines"))})")}. A caption is called "
            + $"{string.Join(", ", ListColumns.Captions)}: a text, or a list of texts.");
    }

    private static (ulong Hash, int[] Tokens) Prepare(Caption caption, TextEncodingOptions options, TextEncoder encoder, TextEncodingResult result)
    {
        if (caption.Problem is { } problem)
        {
            result.Unusable[problem] = result.Unusable.GetValueOrDefault(problem) + 1;
            return (0, []);
        }

        var text = caption.Text!;
        var isLong = text.Length > CaptionCleaner.MostCharacters;
        text = options.Clean == CaptionCleaning.Published ? CaptionCleaner.Clean(text) : isLong ? text[..CaptionCleaner.MostCharacters] : text;
        result.Emptied += text.Length == 0 ? 1 : 0;
        var tokens = encoder.Tokens(text, options.MaxTokens, out var isCut);
        result.Cut += isCut || isLong ? 1 : 0;
        result.Tokens += tokens.Length;
        result.Encoded++;
        return (BinaryPrimitives.ReadUInt64LittleEndian(SHA256.HashData(Encoding.UTF8.GetBytes(text))), tokens);
    }

    private static void Encode(
        List<(Caption Caption, ulong Hash, int[] Tokens)> batch, TextEncoder encoder, IFeatureWriter? writer, CancellationToken cancellation)
    {
        if (batch.Count == 0)
        {
            return;
        }

        var features = encoder.Encode([.. batch.Select(c => c.Tokens)], cancellation).AsMemory();
        var encoded = new List<EncodedCaption>(batch.Count);
        foreach (var (caption, hash, tokens) in batch)
        {
            encoded.Add(new EncodedCaption(caption, hash, features[..(tokens.Length * encoder.Width)]));
            features = features[(tokens.Length * encoder.Width)..];
        }

        writer!.Write(encoded);
        batch.Clear();
    }

    private static JsonObject Settings(TextEncodingOptions options, TextEncoder encoder, CancellationToken cancellation) => new()
    {
        ["captions"] = Path.GetFileName(Path.TrimEndingDirectorySeparator(options.Captions)),
        ["captionsHash"] = CaptionFile.HashOf(options.Captions, cancellation),
        ["captionIndex"] = options.CaptionIndex,
        ["clean"] = options.Clean == CaptionCleaning.Published ? "published" : "none",
        ["maxTokens"] = options.MaxTokens,
        ["layout"] = options.Layout == FeatureLayout.Store ? "store" : "published",
        ["encoder"] = encoder.Name,
        ["engine"] = encoder.Engine == "cpu" ? null : encoder.Engine,
        ["encoderHash"] = encoder.Hash,
        ["tokenizerHash"] = encoder.TokenizerHash,
        ["width"] = encoder.Width,
        ["isFormula"] = encoder.IsFormula,
    };

    /// <summary>Where the encoder lies is no setting: the same one elsewhere gives the same features.</summary>
    private static string Json(JsonObject settings, TextEncoder encoder, TextEncodingResult? result)
    {
        var json = new JsonObject
        {
            ["format"] = "text-features", ["version"] = 1, ["settings"] = settings.DeepClone(), ["encoderPath"] = encoder.Path,
            ["tokenizerPath"] = encoder.TokenizerPath,
        };
        if (result is not null)
        {
            json["captions"] = result.Count;
            json["encoded"] = result.Encoded;
            json["tokens"] = result.Tokens;
            json["cut"] = result.Cut;
            json["emptied"] = result.Emptied;
            json["unusable"] = new JsonObject(result.Unusable.Select(p => KeyValuePair.Create(p.Key, (JsonNode?)JsonValue.Create(p.Value))));
        }

        return json.ToJsonString() + "\n";
    }

    /// <summary>Writes the settings down, or compares them with those of an earlier run.</summary>
    private static void RequireSame(string folder, JsonObject settings, TextEncoder encoder)
    {
        var path = Path.Combine(folder, SettingsFile);
        if (!File.Exists(path))
        {
            AtomicFile.WriteText(path, Json(settings, encoder, null));
            return;
        }

        JsonNode? stored;
        try
        {
            stored = JsonNode.Parse(TextFile.ReadUtf8(path, TextFile.MostBytesOfJson)) is JsonObject { } json ? json["settings"] : null;
        }
        catch (JsonException e)
        {
            throw new DataFormatException($"'{path}' is no JSON: {e.Message} Delete the folder or choose another Output.", e)
            {
                Settings = ["Output"],
            };
        }

        if (SettingsComparison.Differences(stored, settings) is [var difference, ..])
        {
            throw new ConfigException(
                $"{folder} holds features of other settings: {difference.Name} was {PrintableText.From($"{difference.Stored}")} and is now "
                + $"{PrintableText.From($"{difference.Given}")}. Choose another Output, or delete it.")
            { Settings = ["Output"] };
        }
    }
}
