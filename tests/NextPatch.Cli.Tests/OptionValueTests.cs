using System.CommandLine;
using NextPatch.Cli.CommandLine;

namespace NextPatch.Cli.Tests;

/// <summary>Every option of every command against values that nobody can mean: exit 2 and a sentence, before anything is done.</summary>
public sealed class OptionValueTests
{
    private static readonly string[] Whole =
    [
        "NaN", "Infinity", "1_000", "1,000", "1.000,5", "0,5", "1 000", "1e3", "0x10", "٣", "many", "9223372036854775808", "99999999999999999999",
        "-9223372036854775809", "--5", "1;2", "1\u00a0000",
    ];

    private static readonly string[] TooLargeOrSmall = ["2147483647", "-2147483648"];
    private static readonly string[] TooLargeOrSmallLong = ["9223372036854775807", "-9223372036854775808"];
    private static readonly string[] NoSeeds = ["-1", "18446744073709551616"];

    private static readonly string[] Fractions =
    [
        "NaN", "nan", "Infinity", "-Infinity", "∞", "1e999", "-1e999", "1e300", "1_000", "0,5", "1 000", "many", "0x10", "1.5.5", "٣", "",
    ];

    public static TheoryData<string> Commands => [.. Leaves(Application.CreateRoot(), []).Select(c => string.Join(' ', c.Words))];

    [Theory]
    [MemberData(nameof(Commands))]
    public async Task Absurd_values_are_a_usage_error_in_plain_words(string command)
    {
        var words = command.Split(' ');
        foreach (var option in Leaves(Application.CreateRoot(), []).Single(c => c.Words.SequenceEqual(words)).Command.Options)
        {
            foreach (var value in AbsurdFor(option))
            {
                var run = await CommandLine.RunAsync([.. words, $"{option.Name}={value}"]);

                Assert.True(run.ExitCode == ExitCode.Usage, $"{command} {option.Name}={value} exits with {run.ExitCode}: {run.Error}");
                Assert.True(
                    value.Length == 0
                        || (run.Error.Contains(option.Name, StringComparison.Ordinal) && run.Error.Contains(value, StringComparison.Ordinal)),
                    $"{command} {option.Name}={value} does not say what is wrong: {run.Error}");
                Assert.DoesNotContain("System.", run.Error, StringComparison.Ordinal);
                Assert.DoesNotContain("   at ", run.Error, StringComparison.Ordinal);
                Assert.DoesNotContain("defect", run.Error, StringComparison.Ordinal);
                Assert.Empty(run.Output);
            }
        }
    }

    /// <summary>A number that an option gains must get a bound, and whatever its type is this test must know it.</summary>
    [Fact]
    public void Every_type_of_option_is_known_here()
    {
        var unknown = Leaves(Application.CreateRoot(), []).SelectMany(c => c.Command.Options)
            .Where(o => !AbsurdFor(o).Any() && Nullable.GetUnderlyingType(o.ValueType) is not null)
            .Select(o => $"{o.Name}: {o.ValueType}");
        Assert.Empty(unknown);
    }

    private static IEnumerable<string> AbsurdFor(Option option)
    {
        var type = Nullable.GetUnderlyingType(option.ValueType) ?? option.ValueType;
        return type == typeof(int) ? [.. Whole, .. TooLargeOrSmall]
            : type == typeof(long) ? [.. Whole, .. TooLargeOrSmallLong]
            : type == typeof(ulong) ? [.. Whole.Except(["9223372036854775808"]), .. NoSeeds]
            : type == typeof(double) ? Fractions
            : type == typeof(bool) ? ["maybe"]
            : type.IsEnum ? ["nonsense", "999"]
            : [];
    }

    private static IEnumerable<(string[] Words, Command Command)> Leaves(Command command, string[] words)
        => command.Subcommands.Count == 0
            ? [(words, command)]
            : command.Subcommands.SelectMany(below => Leaves(below, [.. words, below.Name]));
}
