using System.Diagnostics;
using System.Formats.Tar;
using System.Globalization;
using System.Text.RegularExpressions;
using NextPatch.Core;
using NextPatch.Core.Imaging;
using NextPatch.Data.Imaging;

namespace NextPatch.Data.Tests.Imaging;

/// <summary>239 difficult files from the tests of other decoders, and what Pillow says of them.</summary>
public sealed class OddImagesTests
{
    // What another implementation of the inverse DCT or of CMYK may differ by, in levels of the mean.
    private const double MeanTolerance = 0.5;
    private static readonly TimeSpan Quick = TimeSpan.FromSeconds(20);
    private static readonly string[] Kinds = ["jpeg", "png", "webp", "gif", "bmp", "ppm", "pgm"];

    // Damaged ones that both decoders finish, each in its way.
    private static readonly string[] Damaged = ["dc-predictor-overflow", "subtract-with-overflow", "id_000324", "id_001427"];

    [Fact]
    public void Files_decode_as_Pillow_decodes_them_or_are_refused_by_name()
    {
        var rows = File.ReadLines(SharedData.PathOrSkip("odd-images.csv")).Skip(1).Select(Fields).ToDictionary(r => r[0]);
        var problems = new List<string>();
        using var tar = new TarReader(File.OpenRead(SharedData.PathOrSkip("odd-images.tar")));
        var (decoded, refused) = (0, 0);
        while (tar.GetNextEntry() is { } entry)
        {
            if (entry.DataStream is not { } stream)
            {
                continue;
            }

            var name = entry.Name["odd-images/".Length..];
            var bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
            var started = Stopwatch.GetTimestamp();
            try
            {
                problems.AddRange(Differences(rows[name], ImageDecoder.Decode(bytes, name)));
                decoded++;
            }
            catch (DataFormatException e) when (e.Message.Contains($"'{name}'", StringComparison.Ordinal))
            {
                refused++;
                if (rows[name] is [_, var kind, _, "ok", ..] && Kinds.Contains(kind))
                {
                    problems.Add($"{name} is refused: {e.Message}");
                }
            }

            if (Stopwatch.GetElapsedTime(started) is var time && time > Quick)
            {
                problems.Add($"{name} took {time}");
            }
        }

        Assert.Equal(rows.Count, decoded + refused);
        Assert.True(problems.Count == 0, $"{decoded} decoded, {refused} refused; {string.Join(Environment.NewLine, problems)}");
    }

    private static IEnumerable<string> Differences(string[] row, RgbImage image)
    {
        if (row is not [var name, _, _, "ok", _, var mode, var width, var height, ..])
        {
            yield break; // damaged: what is left of it may be shown
        }

        if ((width, height) != (Text(image.Width), Text(image.Height)))
        {
            yield return $"{name} is {image.Width}x{image.Height}, not {width}x{height}";
        }

        if (mode == "I" || Damaged.Any(d => name.Contains(d, StringComparison.Ordinal)))
        {
            yield break; // 16 bits have another mean
        }

        var expected = row[21].Split(' ').Select(m => double.Parse(m, CultureInfo.InvariantCulture)).ToArray();
        for (var c = 0; c < 3; c++)
        {
            var mean = Enumerable.Range(0, image.Width * image.Height).Average(i => (double)image.Pixels[(i * 3) + c]);
            if (Math.Abs(mean - expected[c]) > MeanTolerance)
            {
                yield return $"{name} has mean {mean:F2} in channel {c}, not {expected[c]:F2}";
            }
        }
    }

    /// <summary>Names with commas stand in quotes.</summary>
    private static string[] Fields(string line)
        => [.. Regex.Matches(line, "(?:^|,)(?:\"([^\"]*)\"|([^,]*))").Select(m => m.Groups[m.Groups[1].Success ? 1 : 2].Value)];

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
