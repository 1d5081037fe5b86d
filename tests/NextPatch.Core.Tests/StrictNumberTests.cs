using System.Globalization;

namespace NextPatch.Core.Tests;

public sealed class StrictNumberTests
{
    [Theory]
    [InlineData("1_000", "write it without separators, 1000")]
    [InlineData("1,000", "write it without separators, 1000")]
    [InlineData("1 000", "write it without separators, 1000")]
    [InlineData("1.5", "is not a whole number")]
    [InlineData("1e3", "is not a whole number")]
    [InlineData("NaN", "is not a finite number")]
    [InlineData("٣", "is not a whole number")]
    [InlineData("0x10", "is not a whole number")]
    [InlineData(" 7", "7")]
    public void What_is_no_whole_number_is_refused_with_what_was_understood(string text, string problem)
    {
        Assert.False(StrictNumber.TryParse(text, out int _));
        Assert.False(StrictNumber.TryParse(text, out long _));
        Assert.Contains(problem, StrictNumber.Problem(text, isWhole: true), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("0,5", "write a point, 0.5")]
    [InlineData("1_000.5", "write it without separators, 1000.5")]
    [InlineData("Infinity", "is not a finite number")]
    [InlineData("1e999", "is not a finite number")]
    [InlineData("∞", "is not a number")]
    [InlineData("half", "is not a number")]
    public void What_is_no_number_is_refused_with_what_was_understood(string text, string problem)
    {
        Assert.False(StrictNumber.TryParse(text, out double _));
        Assert.Contains(problem, StrictNumber.Problem(text, isWhole: false), StringComparison.Ordinal);
    }

    [Fact]
    public void Numbers_are_the_same_in_every_language()
    {
        var before = CultureInfo.CurrentCulture;
        var german = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        (german.NumberFormat.NumberDecimalSeparator, german.NumberFormat.NumberGroupSeparator) = (",", ".");
        try
        {
            CultureInfo.CurrentCulture = german;
            Assert.True(StrictNumber.TryParse("-1.5e-3", out double value));
            Assert.Equal(-0.0015, value);
            Assert.True(StrictNumber.TryParse("-12", out int whole));
            Assert.Equal(-12, whole);
            Assert.False(StrictNumber.TryParse("1,5", out value));
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }
}
