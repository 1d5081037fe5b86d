using System.CommandLine;
using System.Globalization;
using NextPatch.Core;
using NextPatch.Core.Sampling;

namespace NextPatch.Cli.Evaluation;

/// <summary>The settings that a sweep walks: every combination of the values given.</summary>
internal sealed class SweepGrid
{
    private readonly Option<string> _scale = Values("--cfg-scale", "Guidance scales; 1 = none.", "1.5,1.75,2");
    private readonly Option<string> _temperature = Values("--temperature", "Softmax temperatures.", "1");
    private readonly Option<string> _topK = Values("--top-k", "Numbers of codes to draw among; 0 = all.", "0");
    private readonly Option<string> _topP = Values("--top-p", "Probabilities to draw among; 1 = all.", "1");

    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[_scale, _temperature, _topK, _topP])
        {
            command.Add(option);
        }
    }

    /// <summary>All combinations, guidance scale innermost: neighbours are points of one curve.</summary>
    /// <exception cref="ConfigException">A value is no number or out of range.</exception>
    public IReadOnlyList<SamplingConfig> Points(ParseResult parsed) =>
    [
        .. from temperature in Numbers(parsed, _temperature)
           from topK in Numbers(parsed, _topK)
           from topP in Numbers(parsed, _topP)
           from scale in Numbers(parsed, _scale)
           select new SamplingConfig { GuidanceScale = scale, Temperature = temperature, TopP = topP, TopK = Whole(topK) }.Validated(),
    ];

    private static Option<string> Values(string name, string description, string preset)
        => new(name) { Description = description, HelpName = "x,y,..", DefaultValueFactory = _ => preset };

    private static List<double> Numbers(ParseResult parsed, Option<string> option)
    {
        var text = parsed.GetRequiredValue(option);
        var numbers = new List<double>();
        foreach (var part in text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            numbers.Add(StrictNumber.TryParse(part, out double number) ? number
                : throw new ConfigException($"{option.Name} {text}: '{part}' is no number; give numbers separated by commas, such as 1.5,1.75,2."));
        }

        return numbers.Count > 0 ? numbers : throw new ConfigException($"{option.Name} needs at least one number.");
    }

    private static int Whole(double value)
        => value == Math.Floor(value) && value is >= 0 and <= int.MaxValue
            ? (int)value
            : throw new ConfigException(string.Create(CultureInfo.InvariantCulture, $"--top-k {value} must be a whole number of at least 0."));
}
