using System.CommandLine;
using System.Globalization;
using NextPatch.Cli.Rendering;

namespace NextPatch.Cli.Help;

/// <summary>The help of one command: how it is called, what it does, examples, its options by group.</summary>
internal static class HelpPage
{
    private const int AlwaysWhole = 12;
    private const int NameWidth = 24;
    private const int Indentation = NameWidth + 4;
    private const string LastGroup = "More";

    /// <param name="command">Whose help.</param>
    /// <param name="isWhole">Every option, not only those that matter.</param>
    /// <param name="width">Columns.</param>
    public static IEnumerable<string> Lines(Command command, bool isWhole, int width)
    {
        var (words, options) = (WordsOf(command), command.Options.Where(o => !o.Hidden && o.Action is null).ToList());
        var shown = isWhole || options.Count <= AlwaysWhole ? options : Essential(words, options);
        var arguments = string.Concat(command.Arguments.Select(a => a.Arity.MinimumNumberOfValues > 0 ? $" <{a.Name}>" : $" [<{a.Name}>]"));
        List<string> lines =
        [
            $"nextpatch{(words.Length > 0 ? " " : "")}{words}{(command.Subcommands.Count > 0 ? " COMMAND" : "")}{arguments}"
                + $"{(options.Count > 0 ? " [options]" : "")}",
            "", .. TextWrap.Paragraphs(command.Description ?? "", width),
        ];
        lines.AddRange(Section("Commands", command.Subcommands.Select(c => Row(c.Name, FirstSentence(c.Description), width))));
        lines.AddRange(Section("Arguments", command.Arguments.Select(a => Row($"<{a.Name}>", a.Description ?? "", width))));
        foreach (var group in HelpTopics.Options.Keys.Append(LastGroup))
        {
            lines.AddRange(Section(
                group == LastGroup && lines.TrueForAll(l => !l.StartsWith("  --", StringComparison.Ordinal)) ? "Options" : group,
                InOrder(group, shown).Select(o => Row(NameOf(o), DescriptionOf(o), width))));
        }

        if (shown.Count < options.Count)
        {
            lines.AddRange(["", $"{options.Count - shown.Count} more options: nextpatch {words} --help-all"]);
        }

        return lines;
    }

    /// <summary>The words that name a command: "tokenizer train".</summary>
    public static string WordsOf(Command command)
    {
        var above = command.Parents.OfType<Command>().FirstOrDefault();
        return command is RootCommand ? "" : above is null or RootCommand ? command.Name : $"{WordsOf(above)} {command.Name}";
    }

    private static List<Option> Essential(string words, List<Option> options)
        => HelpTopics.Commands.TryGetValue(words, out var topic) && topic.Options.Length > 0
            ? options.FindAll(o => topic.Options.Contains(o.Name))
            : options[..AlwaysWhole];

    private static IEnumerable<Option> InOrder(string group, List<Option> options)
        => HelpTopics.Options.TryGetValue(group, out var names)
            ? names.Select(name => options.Find(o => o.Name == name)).OfType<Option>()
            : options.Where(o => !HelpTopics.Options.Values.Any(g => g.Contains(o.Name)));

    private static IEnumerable<string> Section(string heading, IEnumerable<IEnumerable<string>> rows)
    {
        var lines = rows.SelectMany(r => r).ToList();
        return lines.Count == 0 ? [] : ["", $"{heading}:", .. lines];
    }

    private static IEnumerable<string> Row(string name, string text, int width)
    {
        var lines = TextWrap.Words(text, width - Indentation).ToList();
        if (name.Length > NameWidth)
        {
            return [$"  {name}", .. lines.Select(l => new string(' ', Indentation) + l)];
        }

        return lines.Select((l, i) => $"  {(i == 0 ? name : "").PadRight(NameWidth)}  {l}").DefaultIfEmpty($"  {name}");
    }

    private static string NameOf(Option option)
    {
        var type = Nullable.GetUnderlyingType(option.ValueType) ?? option.ValueType;
        var value = option.HelpName
            ?? (type.IsEnum ? string.Join('|', Enum.GetNames(type)).ToLowerInvariant() : type == typeof(bool) ? null : "value");
        return value is null ? option.Name : $"{option.Name} <{value}>";
    }

    private static string DescriptionOf(Option option)
    {
        var text = option.Description ?? "";
        if (option.Required)
        {
            return text + " [required]";
        }

        var value = option.HasDefaultValue && option.ValueType != typeof(bool) ? option.GetDefaultValue() : null;
        var shown = value switch
        {
            null => "",
            Array list => string.Join(", ", list.Cast<object>()),
            Enum name => name.ToString().ToLowerInvariant(),
            _ => Convert.ToString(value, CultureInfo.InvariantCulture)!,
        };
        return shown.Length == 0 ? text : $"{text} [default: {shown}]";
    }

    private static string FirstSentence(string? text)
    {
        var first = string.Join(' ', (text ?? "").Split('\n').TakeWhile(l => l.Trim().Length > 0).Select(l => l.Trim()));
        var end = first.IndexOf(". ", StringComparison.Ordinal);
        return end < 0 ? first : first[..(end + 1)];
    }
}
