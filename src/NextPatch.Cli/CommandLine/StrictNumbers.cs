using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Numerics;
using NextPatch.Core;

namespace NextPatch.Cli.CommandLine;

/// <summary>
/// Makes every option that takes a number read it the same way in every language, and refuse what no machine could do: the parser's own conversion
/// depends on the culture and takes '1,000' for a thousand.
/// </summary>
internal static class StrictNumbers
{
    /// <summary>Largest numbers by option; smaller ones that cannot work are refused where their meaning is known.</summary>
    private static readonly Dictionary<string, double> Most = new()
    {
        ["--base-channels"] = 1 << 16, ["--batch-size"] = 1 << 16, ["--beta2"] = 0.999999, ["--cfg-interval"] = 1 << 20, ["--cfg-power"] = 1000,
        ["--cfg-scale"] = 1000, ["--channels"] = 1 << 16, ["--classes"] = 1e7, ["--clip-norm"] = 1e9, ["--codebook-dim"] = 1 << 16,
        ["--codebook-size"] = 1 << 22, ["--count"] = 1e8, ["--downsample"] = 1024, ["--end-lr"] = 1000, ["--epochs"] = 1e6,
        ["--evaluate-count"] = 1e8, ["--flops-per-second"] = 1e24, ["--grid"] = 1 << 20, ["--image-size"] = 1 << 14, ["--image-size-eval"] = 1e6,
        ["--keep-last"] = 1e6, ["--latent-channels"] = 1 << 16, ["--lr"] = 1000, ["--micro-batch"] = 1 << 16, ["--patch-level"] = 1e6,
        ["--perturb-neighbours"] = 1 << 22, ["--rounds"] = 1e6, ["--temperature"] = 1000, ["--top-k"] = 1 << 22, ["--vocabulary"] = 1 << 22,
        ["--weight-decay"] = 1000,
    };

    private const double MostLong = 1e12; // steps and images: times the largest batch still in 64 bits
    private const double MostOther = 1e9;

    /// <summary>Walks a command and those below it.</summary>
    public static void Apply(Command command)
    {
        foreach (var option in command.Options)
        {
            Apply(option);
        }

        foreach (var below in command.Subcommands)
        {
            Apply(below);
        }
    }

    private static void Apply(Option option)
    {
        switch (option)
        {
            case Option<int> o: o.CustomParser = result => Whole<int>(result, option.Name, int.MinValue); break;
            case Option<int?> o: o.CustomParser = result => Whole<int>(result, option.Name, int.MinValue); break;
            case Option<long> o: o.CustomParser = result => Whole<long>(result, option.Name, long.MinValue); break;
            case Option<long?> o: o.CustomParser = result => Whole<long>(result, option.Name, long.MinValue); break;
            case Option<ulong> o: o.CustomParser = result => Seed(result, option.Name); break;
            case Option<double> o: o.CustomParser = result => Fraction(result, option.Name); break;
            case Option<double?> o: o.CustomParser = result => Fraction(result, option.Name); break;
            default:
                if ((Nullable.GetUnderlyingType(option.ValueType) ?? option.ValueType) is { IsEnum: true } type)
                {
                    option.Validators.Add(result => RequireName(result, type)); // the parser takes the numbers behind the names too
                }

                break;
        }
    }

    private static void RequireName(OptionResult result, Type type)
    {
        var names = Enum.GetNames(type);
        if (result.Tokens is [.., { Value: var text }] && !names.Contains(text, StringComparer.OrdinalIgnoreCase))
        {
            result.AddError($"{result.Option.Name} '{text}' must be one of {string.Join(", ", names.Select(n => n.ToLowerInvariant()))}.");
        }
    }

    private static T Whole<T>(ArgumentResult result, string name, T least)
        where T : struct, IBinaryInteger<T>
    {
        var text = result.Tokens[^1].Value;
        if (!T.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value))
        {
            var isLarge = BigInteger.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var large);
            result.AddError(
                isLarge ? TooFar(name, text, large.Sign, MostOf<T>(name)) : $"{name} '{text}' {StrictNumber.Problem(text, isWhole: true)}.");
        }
        else if (double.CreateChecked(value) > MostOf<T>(name) || value == least)
        {
            result.AddError(TooFar(name, text, T.Sign(value), MostOf<T>(name)));
        }

        return value;
    }

    private static double Fraction(ArgumentResult result, string name)
    {
        var text = result.Tokens[^1].Value;
        if (!StrictNumber.TryParse(text, out double value))
        {
            result.AddError($"{name} '{text}' {StrictNumber.Problem(text, isWhole: false)}.");
        }
        else if (Math.Abs(value) > MostOf<double>(name))
        {
            result.AddError(TooFar(name, text, Math.Sign(value), MostOf<double>(name)));
        }

        return value;
    }

    /// <summary>Every number of 64 bits is a seed.</summary>
    private static ulong Seed(ArgumentResult result, string name)
    {
        var text = result.Tokens[^1].Value;
        if (!ulong.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value))
        {
            result.AddError(BigInteger.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out _)
                ? $"{name} {text} must be from 0 to {ulong.MaxValue}."
                : $"{name} '{text}' {StrictNumber.Problem(text, isWhole: true)}.");
        }

        return value;
    }

    private static string TooFar(string name, string text, int sign, double most) => sign < 0
        ? $"{name} {text} is too small."
        : string.Create(CultureInfo.InvariantCulture, $"{name} {text} must be at most {most:0.######}.");

    private static double MostOf<T>(string name)
        => Most.TryGetValue(name, out var most) ? most : typeof(T) == typeof(long) ? MostLong : MostOther;
}
