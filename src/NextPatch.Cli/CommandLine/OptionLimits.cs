using System.CommandLine;
using System.Globalization;
using System.Numerics;

namespace NextPatch.Cli.CommandLine;

/// <summary>Numbers that an option takes, checked before a command does anything.</summary>
internal static class OptionLimits
{
    /// <summary>Makes smaller numbers, and NaN, a usage error. What is no number the parser refuses itself.</summary>
    public static TOption AtLeast<TOption, T>(this TOption option, T least)
        where TOption : Option
        where T : INumber<T>
    {
        option.Validators.Add(result =>
        {
            if (result.Tokens is [.., var given] && T.TryParse(given.Value, CultureInfo.InvariantCulture, out var value) && !(value >= least))
            {
                result.AddError($"{option.Name} {given.Value} must be at least {least}.");
            }
        });
        return option;
    }

    /// <summary>Makes numbers outside of a range, and NaN, a usage error.</summary>
    public static TOption Between<TOption, T>(this TOption option, T least, T most)
        where TOption : Option
        where T : INumber<T>
        => option.AtLeast(least).AtMost(most);

    /// <summary>Makes larger numbers, and NaN, a usage error.</summary>
    public static TOption AtMost<TOption, T>(this TOption option, T most)
        where TOption : Option
        where T : INumber<T>
    {
        option.Validators.Add(result =>
        {
            if (result.Tokens is [.., var given] && T.TryParse(given.Value, CultureInfo.InvariantCulture, out var value) && !(value <= most))
            {
                result.AddError(string.Create(CultureInfo.InvariantCulture, $"{option.Name} {given.Value} must be at most {most}."));
            }
        });
        return option;
    }
}
