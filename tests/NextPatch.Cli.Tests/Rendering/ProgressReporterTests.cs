using NextPatch.Cli.Rendering;

namespace NextPatch.Cli.Tests.Rendering;

public sealed class ProgressReporterTests
{
    [Fact]
    public void Without_a_terminal_a_thousand_reports_are_a_few_plain_lines()
    {
        using StringWriter output = new(), error = new();
        using (var progress = new Terminal(output, error).CreateProgress())
        {
            for (var i = 0; i <= 1000; i++)
            {
                progress.Report("Training", i, 1000, $"loss {i}");
            }
        }

        var lines = error.ToString().Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries);
        Assert.InRange(lines.Length, 2, 5);
        Assert.Equal("Training 0/1000  loss 0", lines[0]);
        Assert.Equal("Training 1000/1000  loss 1000", lines[^1]);
        Assert.DoesNotContain('\r', error.ToString().Replace(Environment.NewLine, "", StringComparison.Ordinal));
        Assert.DoesNotContain('\e', error.ToString());
        Assert.Empty(output.ToString());
    }

    [Fact]
    public void Each_label_shows_its_first_and_its_last_report()
    {
        using StringWriter output = new(), error = new();
        using (var progress = new Terminal(output, error).CreateProgress())
        {
            progress.Report("One", 0, 9, "a");
            progress.Report("One", 4, 9, "b");
            progress.Report("Two", 1, 0, "c");
            progress.WriteLine("kept");
        }

        Assert.Equal(
            ["One 0/9  a", "One 4/9  b", "Two 1  c", "kept"], error.ToString().Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries));
    }

    [Fact]
    public void A_closed_stream_does_not_end_the_operation()
    {
        using StringWriter output = new();
        var error = new StringWriter();
        var progress = new Terminal(output, error).CreateProgress();
        error.Dispose();

        progress.Report("Training", 1, 2);
        progress.WriteLine("line");
        progress.Dispose();
    }

    [Theory]
    [InlineData(0, "0")]
    [InlineData(12.34, "12.3")]
    [InlineData(999.6, "1 k")]
    [InlineData(1.234e15, "1.23 P")]
    public void Large_numbers_have_three_digits_and_a_prefix(double value, string expected) => Assert.Equal(expected, Quantity.Decimal(value));

    [Theory]
    [InlineData(0.5, "0.5 s")]
    [InlineData(45, "45 s")]
    [InlineData(200, "3 min 20 s")]
    [InlineData(18720, "5 h 12 min")]
    [InlineData(1080000, "12.5 days")]
    public void Durations_have_two_units_at_most(double seconds, string expected) => Assert.Equal(expected, Quantity.Duration(seconds));

    [Theory]
    [InlineData(1023, "1023 B")]
    [InlineData(1536, "1.5 KiB")]
    [InlineData(25_232_932_864, "23.5 GiB")]
    public void Bytes_use_binary_units(double bytes, string expected) => Assert.Equal(expected, Quantity.Bytes(bytes));
}
