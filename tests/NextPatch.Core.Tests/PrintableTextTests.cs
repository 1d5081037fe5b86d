namespace NextPatch.Core.Tests;

public sealed class PrintableTextTests
{
    [Theory]
    [InlineData("plain\ttext\nof two lines, with ümlauts and 漢字", "plain\ttext\nof two lines, with ümlauts and 漢字")]
    [InlineData("\u001b]0;title\u0007", "\\u001b]0;title\\u0007")]
    [InlineData("over\rwritten", "over\\u000dwritten")]
    [InlineData("\u009b31m", "\\u009b31m")]
    [InlineData("gnp\u202e.exe", "gnp\\u202e.exe")]
    [InlineData("del\u007f", "del\\u007f")]
    public void Characters_that_act_are_shown(string text, string expected) => Assert.Equal(expected, PrintableText.From(text));
}
