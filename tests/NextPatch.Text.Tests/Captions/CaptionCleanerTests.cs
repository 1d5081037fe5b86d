using System.Diagnostics;
using NextPatch.Text.Captions;

namespace NextPatch.Text.Tests.Captions;

public sealed class CaptionCleanerTests
{
    [Theory]
    [InlineData("A photo of a cat at https://example.com/cat.jpg on the sofa", "a photo of a cat at on the sofa")]
    [InlineData("<person> rides a horse with <person>", "person rides a horse with person")]
    [InlineData("100%25 wool", "100% wool")]
    [InlineData("a < b and c > d", "a < b and c > d")]
    [InlineData("<b>bold</b> and <a href='x>y'>linked</a> <!-- hidden -->text", "bold and linked text")]
    [InlineData("<script>alert(1)</script>after", "after")]
    [InlineData("caf&eacute; &#233; &unknown; end", "café é unknown end")]
    [InlineData("a%2Bb%26c", "a bc")]
    [InlineData("2x4", "")]
    [InlineData("a b c", "a b c")]
    [InlineData("", "")]
    public void Cleaning_follows_the_published_rules(string caption, string cleaned) => Assert.Equal(cleaned, CaptionCleaner.Clean(caption));

    [Fact]
    public void Text_of_any_kind_is_cleaned_in_bounded_time()
    {
        var random = new Random(5);
        const string Signs = "a1 .-_<>&#;%@'\"/:\\\n\u00bd\u4e00\ud83d\udc31x2jpg";
        string[] captions = [.. Enumerable.Range(0, 200).Select(
            _ => new string([.. Enumerable.Range(0, 100).Select(_ => Signs[random.Next(Signs.Length)])])),
            new string('<', 100_000), new string('a', 10_000_000), string.Concat(Enumerable.Repeat("a.", 50_000)),
            string.Concat(Enumerable.Repeat("a1", 50_000)) + "_",
            string.Concat(Enumerable.Repeat("<a '", 50_000)), new string('9', 50_000) + "_", "\ud83d", "%f0%9f", "&#xffffffffffff;&#x110000;&#-1; "];
        foreach (var caption in captions)
        {
            var start = Stopwatch.GetTimestamp();
            var cleaned = CaptionCleaner.Clean(caption);
            Assert.True(cleaned.Length <= CaptionCleaner.MostCharacters * 2);
            Assert.True(Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(60),
                $"'{caption[..Math.Min(20, caption.Length)]}' takes {Stopwatch.GetElapsedTime(start)}");
        }
    }
}
