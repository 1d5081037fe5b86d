using System.Globalization;

namespace NextPatch.Cli.Rendering;

/// <summary>Large numbers as people read them.</summary>
internal static class Quantity
{
    /// <summary>Julian years, as durations count them.</summary>
    public const double SecondsPerYear = 31557600;

    private static readonly string[] DecimalPrefixes = ["", "k", "M", "G", "T", "P", "E", "Z", "Y"];
    private static readonly string[] BinaryUnits = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

    /// <summary>Three digits and a decimal prefix: "1.23 P".</summary>
    public static string Decimal(double value, string unit = "")
    {
        var step = 0;
        while (Math.Abs(value) >= 999.5 && step < DecimalPrefixes.Length - 1)
        {
            (value, step) = (value / 1000, step + 1);
        }

        return $"{ThreeDigits(value)} {DecimalPrefixes[step]}{unit}".TrimEnd();
    }

    /// <summary>"1.5 GiB".</summary>
    public static string Bytes(double value)
    {
        var step = 0;
        while (value >= 1023.5 && step < BinaryUnits.Length - 1)
        {
            (value, step) = (value / 1024, step + 1);
        }

        return $"{ThreeDigits(value)} {BinaryUnits[step]}";
    }

    /// <summary>"45 s", "3 min 20 s", "5 h 12 min", "12.5 days".</summary>
    public static string Duration(double seconds) => seconds switch
    {
        < 0.95 => $"{seconds:0.0} s",
        < 59.5 => $"{seconds:0} s",
        < 3570 => $"{(int)(seconds / 60)} min {(int)(seconds % 60)} s",
        < 172800 => $"{(int)(seconds / 3600)} h {(int)(seconds % 3600 / 60)} min",
        < 63072000 => $"{seconds / 86400:0.0} days",
        _ => $"{seconds / SecondsPerYear:0.#} years",
    };

    private static string ThreeDigits(double value) => Math.Abs(value) switch
    {
        0 => "0",
        < 10 => value.ToString("0.##", CultureInfo.InvariantCulture),
        < 100 => value.ToString("0.#", CultureInfo.InvariantCulture),
        _ => value.ToString("0", CultureInfo.InvariantCulture),
    };
}
