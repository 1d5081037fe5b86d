using System.Text;
using System.Text.RegularExpressions;
using NextPatch.Core;

namespace NextPatch.Cli.CommandLine;

/// <summary>What libraries call by the name of a property, the command line calls by the name of its option.</summary>
internal static class OptionNames
{
    /// <summary>Those that are not the property's words with hyphens.</summary>
    private static readonly Dictionary<string, string> Others = new()
    {
        ["Bf16Gradients"] = "--gradient-dtype",
        ["Classes"] = "--class",
        ["GuidanceScale"] = "--cfg-scale",
        ["ImageSide"] = "--image-size",
        ["InitialWeights"] = "--init-from",
        ["Part Val"] = "--part val",
        ["StepImplementation"] = "--step",
        ["VocabularySize"] = "--vocabulary",
        ["Type Float32"] = "--dtype f32",
    };

    /// <summary>The message of an exception, its settings by the names of their options.</summary>
    public static string In(NextPatchException exception) => exception.Settings.Aggregate(
        exception.Message, (text, name) => Regex.Replace(
            text, $@"(?<![\w/\\.]){Regex.Escape(name)}(?![\w/\\]|\.\w)", OptionOf(name).Replace("$", "$$", StringComparison.Ordinal)));

    /// <summary>ImageSize: --image-size.</summary>
    private static string OptionOf(string name)
    {
        if (Others.TryGetValue(name, out var other))
        {
            return other;
        }

        var option = new StringBuilder("-");
        foreach (var letter in name)
        {
            _ = char.IsUpper(letter) ? option.Append('-').Append(char.ToLowerInvariant(letter)) : option.Append(letter);
        }

        return option.ToString();
    }
}
