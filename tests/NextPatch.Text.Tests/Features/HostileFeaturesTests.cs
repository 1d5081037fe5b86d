using System.Diagnostics;
using NextPatch.Core;
using NextPatch.Text.Features;

namespace NextPatch.Text.Tests.Features;

/// <summary>
/// Folders of features and lists of captions with bytes changed: they are read or refused, in bounded time and memory, and never end the process.
/// </summary>
public sealed class HostileFeaturesTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("features.npy")]
    [InlineData("offsets.npy")]
    [InlineData("hashes.npy")]
    [InlineData("encoding.json")]
    public void Stores_are_read_or_refused(string file)
    {
        Encode("out", FeatureLayout.Store);
        HostileBytes.Read(_folder[$"out/{file}"], () =>
        {
            FeatureFolder.OriginOf(_folder["out"]);
            ReadAll(FeatureFolder.Open(_folder["out"], [("c", 3)]));
        });
    }

    [Fact]
    public void Published_features_are_read_or_refused()
    {
        Encode("out", FeatureLayout.Published);
        HostileBytes.Read(_folder["out/c/1.npy"], () =>
        {
            using var features = FeatureFolder.Open(_folder["out"], [("c", 3)]);
            if (features.ProblemOf(1) is { } problem)
            {
                throw new NextPatchException(problem); // training counts it by reason
            }

            features.Read(1, new float[Math.Min(features.Length(1), 1000) * features.Width]);
        });
    }

    [Theory]
    [InlineData("c.csv", "id,caption\n1,\"a \"\"red\"\" star\"\n2,plain\n")]
    [InlineData("c.jsonl", "{\"text\": [\"short\", \"long\"], \"image_path\": \"a.png\"}\n{\"caption\": \"\\ud83d\\ude00\"}\n")]
    [InlineData("c.txt", "a red star\r\n\xef\xbb\xbfb\n")]
    public void Captions_are_read_or_refused(string name, string text)
    {
        File.WriteAllText(_folder[name], text);
        HostileBytes.Read(
            _folder[name], () => Assert.All(CaptionFile.Read(_folder[name], 0), c => Assert.True(c.Text is not null || c.Problem is not null)),
            mustRefuse: false);
    }

    /// <summary>A caption of 10 MB is cut where lines may be so long, and its file refused where no line is.</summary>
    [Fact]
    public void Captions_of_ten_megabytes_are_cut_or_refused_at_once()
    {
        var caption = string.Concat(Enumerable.Repeat("(a+b)* <b>&amp; ", 10_000_000 / 16));
        File.WriteAllText(_folder["long.csv"], $"caption\n\"{caption}\"\nshort\n");
        File.WriteAllText(_folder["long.txt"], caption + "\n");
        var start = Stopwatch.GetTimestamp();
        var result = TextEncoding.Run(Options("long.csv", "long", FeatureLayout.Store), null, default);
        Assert.Equal((2, 2, 1), (result.Count, result.Encoded, result.Cut));
        Assert.Contains("line 1", Assert.Throws<DataFormatException>(
            () => TextEncoding.Run(Options("long.txt", "lines", FeatureLayout.Store), null, default)).Message, StringComparison.Ordinal);
        Assert.True(Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(60));
    }

    private static void ReadAll(ICaptionFeatures features)
    {
        using (features)
        {
            for (var caption = 0; caption < Math.Min(features.Count, 100); caption++)
            {
                if (features.ProblemOf(caption) is null)
                {
                    features.Read(caption, new float[Math.Min(features.Length(caption), 1000) * features.Width]);
                }
            }
        }
    }

    private void Encode(string output, FeatureLayout layout)
    {
        File.WriteAllLines(_folder["c.txt"], ["a red star", "a blue heart on white", "x"]);
        TextEncoding.Run(Options("c.txt", output, layout), null, default);
    }

    private TextEncodingOptions Options(string captions, string output, FeatureLayout layout)
        => new() { Captions = _folder[captions], Encoder = "formula", Output = _folder[output], Layout = layout };
}
