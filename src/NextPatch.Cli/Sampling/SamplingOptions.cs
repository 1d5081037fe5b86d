using System.CommandLine;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Rendering;
using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Sampling;

namespace NextPatch.Cli.Sampling;

/// <summary>The options that say how codes are drawn.</summary>
internal sealed class SamplingOptions
{
    private static readonly SamplingConfig Defaults = new();

    private readonly Option<double?> _scale = new("--cfg-scale")
    {
        Description = "Guidance scale; 1 = none, published 1.65 to 2. [default: 2, or 1 where the model has no null class]", HelpName = "x",
    };

    private readonly Option<int> _interval = new Option<int>("--cfg-interval")
    {
        Description = "Guide only up to this decode step; -1 = always.", HelpName = "n", DefaultValueFactory = _ => Defaults.GuidanceInterval,
    }.AtLeast(-1);

    private readonly Option<string> _shape = new("--cfg-shape")
    {
        Description = "How the scale moves over the image: constant, or from 1 up to it, linear or as a power.", HelpName = "constant|linear|power",
        DefaultValueFactory = _ => "constant",
    };

    private readonly Option<double> _power = new("--cfg-power")
    {
        Description = "Exponent of --cfg-shape power.", HelpName = "x", DefaultValueFactory = _ => Defaults.GuidancePower,
    };
    private readonly Option<double> _temperature = new("--temperature")
    {
        Description = "Softmax temperature; below 1 = safer, above 1 = more varied.", HelpName = "x", DefaultValueFactory = _ => Defaults.Temperature,
    };
    private readonly Option<int> _topK = new("--top-k")
    {
        Description = "Draw among the k most probable codes; 0 = all.", HelpName = "k", DefaultValueFactory = _ => Defaults.TopK,
    };
    private readonly Option<double> _topP = new("--top-p")
    {
        Description = "Draw among the most probable codes that make up this probability; 1 = all.", HelpName = "p",
        DefaultValueFactory = _ => Defaults.TopP,
    };
    private readonly Option<bool> _greedy = new("--greedy") { Description = "Always take the most probable code." };

    public SamplingOptions() => _shape.AcceptOnlyFromAmong("constant", "linear", "power");

    public IReadOnlyList<Option> All => [_scale, _interval, _shape, _power, _temperature, _topK, _topP, _greedy];

    public void AddTo(Command command)
    {
        foreach (var option in All)
        {
            command.Add(option);
        }
    }

    /// <exception cref="ConfigException">A value is out of range.</exception>
    public SamplingConfig Resolve(ParseResult parsed, GptConfig model) => new SamplingConfig
    {
        GuidanceScale = parsed.GetValue(_scale) ?? (model.HasNullClass ? Defaults.GuidanceScale : 1),
        GuidanceInterval = parsed.GetValue(_interval),
        GuidanceShape = Shape(parsed),
        GuidancePower = parsed.GetValue(_power),
        Temperature = parsed.GetValue(_temperature),
        TopK = parsed.GetValue(_topK),
        TopP = parsed.GetValue(_topP),
        Greedy = parsed.GetValue(_greedy),
    }.Validated();

    /// <summary>Adds the rules to a request.</summary>
    public ImageRequest Fill(ParseResult parsed, ImageRequest request) => request with
    {
        GuidanceScale = parsed.GetValue(_scale),
        GuidanceInterval = parsed.GetValue(_interval),
        GuidanceShape = Shape(parsed),
        GuidancePower = parsed.GetValue(_power),
        Temperature = parsed.GetValue(_temperature),
        TopK = parsed.GetValue(_topK),
        TopP = parsed.GetValue(_topP),
        Greedy = parsed.GetValue(_greedy),
    };

    /// <summary>Says that always taking the most probable code is not how images are drawn.</summary>
    public void Warn(ParseResult parsed, Terminal terminal)
    {
        if (parsed.GetValue(_greedy) || parsed.GetValue(_temperature) == 0)
        {
            terminal.WriteNote(WarningOf(parsed.GetValue(_greedy) ? "--greedy" : "--temperature 0"));
        }
    }

    /// <summary>The warning of an option that takes chance away.</summary>
    public static string WarningOf(string option)
        => $"Warning: {option} always takes the most probable code: images come out flat, zoomed or broken, and all of a class are the same. Figures "
            + "of them say little; draw with --temperature 1.";

    private GuidanceShape Shape(ParseResult parsed) => Enum.Parse<GuidanceShape>(parsed.GetRequiredValue(_shape), ignoreCase: true);
}
