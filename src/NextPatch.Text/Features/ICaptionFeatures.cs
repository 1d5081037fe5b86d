using System.Text.Json;
using System.Text.Json.Nodes;
using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Files;

namespace NextPatch.Text.Features;

/// <summary>Features of captions by number, in the order of the file of captions. Reading is safe from several threads.</summary>
internal interface ICaptionFeatures : IDisposable
{
    /// <summary>Captions, those without features among them.</summary>
    int Count { get; }

    /// <summary>Numbers per token.</summary>
    int Width { get; }

    /// <summary>Tokens of a caption; 0 where it has no features.</summary>
    int Length(int caption);

    /// <summary>Why a caption has no features; null where it has.</summary>
    string? ProblemOf(int caption);

    /// <summary>Copies the first tokens of a caption.</summary>
    /// <param name="caption">Its number.</param>
    /// <param name="destination">[tokens, width], at most as many as there are.</param>
    /// <exception cref="DataFormatException">A number is not finite.</exception>
    void Read(int caption, Span<float> destination);
}

/// <summary>Opens folders of features, of <c>encode-text</c> or of others.</summary>
internal static class FeatureFolder
{
    /// <summary>Opens a folder, whichever of the two layouts it has.</summary>
    /// <param name="folder">With features.npy, or with a folder of .npy files for each file of captions.</param>
    /// <param name="files">Names of the files of captions without what follows the first point, and how many lines each has, in order.</param>
    /// <exception cref="NextPatchException">It is missing, damaged, or of no known layout.</exception>
    public static ICaptionFeatures Open(string folder, IReadOnlyList<(string Name, int Lines)> files)
        => !Directory.Exists(folder) ? throw new NextPatchException(
                $"Feature folder '{folder}' {(File.Exists(folder) ? "is a file" : "does not exist")}; encode the captions first "
                + "('nextpatch encode-text').")
            : File.Exists(Path.Combine(folder, FeatureStore.Features)) ? FeatureStore.Open(folder)
            : File.Exists(Core.Files.AtomicFile.PartialOf(Path.Combine(folder, FeatureStore.Features))) ? throw new NextPatchException(
                $"The captions in '{folder}' are not all encoded; the same 'nextpatch encode-text' continues.")
            : PublishedFeatures.Open(folder, files);

    /// <summary>What <c>encoding.json</c> says of the features; nothing where there is none.</summary>
    /// <exception cref="DataFormatException">It is damaged.</exception>
    public static TextFeatureOrigin OriginOf(string folder)
    {
        var path = Path.Combine(folder, TextEncoding.SettingsFile);
        if (!File.Exists(path))
        {
            return new TextFeatureOrigin();
        }

        try
        {
            var json = JsonNode.Parse(TextFile.ReadUtf8(path, TextFile.MostBytesOfJson));
            var settings = json?["settings"]
                ?? throw new DataFormatException($"'{path}' has no settings; it is damaged, or belongs to something else.");
            return new TextFeatureOrigin
            {
                Encoder = (string?)settings["encoder"], EncoderHash = (string?)settings["encoderHash"],
                TokenizerHash = (string?)settings["tokenizerHash"], Clean = (string?)settings["clean"], MaxTokens = (int?)settings["maxTokens"],
                EncoderPath = (string?)json["encoderPath"], TokenizerPath = (string?)json["tokenizerPath"],
                CaptionsHash = (string?)settings["captionsHash"], CaptionIndex = (int?)settings["captionIndex"],
            };
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            throw new DataFormatException($"'{path}' does not say how the features beside it were made: {e.Message}", e);
        }
    }
}
