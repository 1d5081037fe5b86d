using System.Diagnostics;
using NextPatch.Core;
using NextPatch.Models;

namespace NextPatch.Tests.Models;

public sealed class ClassLookupTests
{
    private static readonly ClassLookup ImageNet = new(ImageNetClasses.Names, 1000);

    [Fact]
    public void ImageNet_has_a_thousand_classes_in_the_usual_order()
    {
        Assert.Equal(1000, ImageNetClasses.Names.Count);
        Assert.Equal(
            ["tench", "Arctic fox", "golden retriever", "espresso", "toilet tissue"],
            new[] { 0, 279, 207, 967, 999 }.Select(label => ClassLookup.ShortName(ImageNetClasses.Names[label])));
        Assert.All(ImageNetClasses.Names, name => Assert.DoesNotContain("", name.Split(',', StringSplitOptions.TrimEntries)));
    }

    [Theory]
    [InlineData("207", 207)]
    [InlineData("golden retriever", 207)]
    [InlineData("GOLDEN Retriever", 207)]
    [InlineData("golden retr", 207)]
    [InlineData("Panthera leo", 291)]
    [InlineData("lion, king of beasts, Panthera leo", 291)]
    [InlineData("sea star", 327)]
    [InlineData("toilet paper", 999)]
    public void A_class_is_found_by_number_name_synonym_and_beginning(string text, int label) => Assert.Equal(label, ImageNet.Find(text));

    [Theory]
    [InlineData("crane", "134 (crane)", "517 (crane)")]
    [InlineData("horned", "66 (horned viper", "68 (sidewinder")]
    public void A_name_of_several_classes_lists_them(string text, params string[] expected)
    {
        var error = Assert.Throws<ConfigException>(() => ImageNet.Find(text));

        Assert.All(expected, part => Assert.Contains(part, error.Message, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("goldn retriver", "207 (golden retriever)")]
    [InlineData("bearr", "Did you mean")]
    [InlineData("retriever", "208 (Labrador retriever)")]
    public void An_unknown_name_suggests_the_nearest_few(string text, string suggestion)
    {
        var error = Assert.Throws<ConfigException>(() => ImageNet.Find(text));

        Assert.Contains(suggestion, error.Message, StringComparison.Ordinal);
        Assert.True(error.Message.Length < 500, error.Message);
    }

    [Fact]
    public void A_text_of_any_length_is_refused_at_once_and_shown_in_part()
    {
        var began = Stopwatch.GetTimestamp();
        var error = Assert.Throws<ConfigException>(() => ImageNet.Find(new string('x', 1_000_000)));

        Assert.True(error.Message.Length < 200, error.Message);
        Assert.True(Stopwatch.GetElapsedTime(began) < TimeSpan.FromSeconds(5)); // distances to all names took minutes
    }

    [Theory]
    [InlineData("1000")]
    [InlineData("-1")]
    [InlineData("qqqqqqqq")]
    public void What_is_near_nothing_names_the_range_only(string text)
    {
        var error = Assert.Throws<ConfigException>(() => ImageNet.Find(text));

        Assert.Contains("0 to 999", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("mean", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Few_classes_are_all_named()
        => Assert.Contains(
            "a, b", Assert.Throws<ConfigException>(() => new ClassLookup(["a", "b"], 2).Find("star")).Message, StringComparison.Ordinal);
}
