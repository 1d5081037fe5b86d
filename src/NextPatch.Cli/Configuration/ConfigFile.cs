using System.CommandLine;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using NextPatch.Cli.CommandLine;
using NextPatch.Cli.Help;
using NextPatch.Core;
using NextPatch.Core.Files;

namespace NextPatch.Cli.Configuration;

/// <summary>
/// A JSON file that gives options of a command: each key is the name of one without its dashes, <c>"batch-size": 16</c>. It becomes words of the
/// command line before that is parsed, so that no option needs code of its own.
/// </summary>
internal sealed class ConfigFile
{
    private const string OptionName = "--config";

    /// <summary>Keys that are for people: what a recipe is, what it needs, costs and gives.</summary>
    private static readonly string[] TextKeys = ["description", "status", "needs", "commands", "settings", "cost", "expected"];

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly List<string> _words = [];
    private readonly HashSet<Option> _options = [];

    private ConfigFile(string path) => Path = path;

    public string Path { get; }

    /// <summary>The option that names the file.</summary>
    public static Option<string?> CreateOption() => new(OptionName)
    {
        Description = "JSON file with options: keys are their names without the dashes (\"batch-size\": 16), flags are true or false; "
            + $"{string.Join(", ", TextKeys[..^1])} and {TextKeys[^1]} are for readers. Options given beside it win; paths start in the "
            + "current folder. recipes/ holds some.",
        HelpName = "file",
    };

    /// <summary>Parses a command line together with the file that its <c>--config</c> names.</summary>
    /// <returns>The result, and the file; null where none is named.</returns>
    /// <exception cref="ConfigException">The file cannot be read, or is no object of options; every problem is listed.</exception>
    public static (ParseResult Parsed, ConfigFile? File) Parse(RootCommand root, IReadOnlyList<string> arguments)
    {
        var given = root.Parse(arguments);
        if (given.Action is not HelpAction && OfRun(given) is (var run, var options))
        {
            var remembered = Read(options, given);
            return (root.Parse([.. arguments, $"--output={run}", .. remembered._words]), remembered);
        }

        var own = given.CommandResult.Command.Options.FirstOrDefault(o => o.Name == OptionName);
        if (own is null || given.Action is HelpAction || given.GetResult(own) is not { Tokens: [var path] })
        {
            return (given, null);
        }

        var file = Read(path.Value, given);
        return (root.Parse([.. arguments, .. file._words]), file);
    }

    /// <summary>The words that options of a JSON object are for a command.</summary>
    /// <param name="members">By names without dashes.</param>
    /// <param name="source">What gives them, for messages.</param>
    /// <param name="command">Whose options they are.</param>
    /// <exception cref="ConfigException">An option is unknown, or its value of another kind; every problem is listed.</exception>
    public static IReadOnlyList<string> WordsOf(JsonObject members, string source, Command command)
    {
        var (file, given) = (new ConfigFile(source), command.Parse([]));
        using var json = JsonDocument.Parse(members.ToJsonString());
        var problems = json.RootElement.EnumerateObject().Select(m => file.Add(m, given)).Where(p => p is not null).Select(p => $"{source}: {p}.");
        return problems.ToList() is { Count: > 0 } list ? throw new ConfigException(list) : file._words;
    }

    /// <summary>Writes the options that a command was given, as a file that gives them again.</summary>
    /// <param name="path">Is replaced.</param>
    /// <param name="parsed">The command line, with the options of a file that it names.</param>
    /// <param name="except">Options that are not for another time.</param>
    /// <param name="paths">Options whose values are made independent of the current folder.</param>
    public static void Write(string path, ParseResult parsed, IReadOnlyList<Option> except, IReadOnlyList<Option> paths)
    {
        var json = new JsonObject();
        foreach (var option in parsed.CommandResult.Command.Options.Where(o => o.Name != OptionName && !except.Contains(o)))
        {
            if (parsed.GetResult(option) is { Implicit: false } result)
            {
                var isList = option.ValueType.IsArray;
                var type = isList ? option.ValueType.GetElementType()! : Nullable.GetUnderlyingType(option.ValueType) ?? option.ValueType;
                JsonNode?[] values = [.. result.Tokens.Select(t => ToJson(paths.Contains(option) ? Full(t.Value) : t.Value, type))];
                json[option.Name[2..]] = isList ? new JsonArray(values) : values is [.., var last] ? last : true;
            }
        }

        AtomicFile.WriteText(path, json.ToJsonString(Indented));
    }

    private static string Full(string path) => System.IO.Path.GetFullPath(path);

    private static JsonNode? ToJson(string value, Type type) => Expected(type).Kinds[0] switch
    {
        JsonValueKind.True => bool.Parse(value),
        JsonValueKind.Number when type == typeof(double) => double.Parse(value, CultureInfo.InvariantCulture),
        JsonValueKind.Number => JsonNode.Parse(decimal.Parse(value, CultureInfo.InvariantCulture).ToString(CultureInfo.InvariantCulture)),
        _ => value,
    };

    /// <summary>The run that <c>--resume</c> names and the file of its options, where that is all a command needs.</summary>
    private static (string Run, string Options)? OfRun(ParseResult given)
    {
        var options = given.CommandResult.Command.Options;
        if (options.OfType<ResumeOption>().FirstOrDefault() is not { OptionsFile: { } name } resume || resume.RunOf(given) is not { } run)
        {
            return null;
        }

        if (options.FirstOrDefault(o => o.Name is "--output" or OptionName && given.GetResult(o) is { Implicit: false }) is { } more)
        {
            throw new ConfigException($"--resume {run} continues that run with the options it holds; leave {more.Name} out.");
        }

        var file = System.IO.Path.Combine(run, name);
        return File.Exists(file) ? (run, file) : throw new ConfigException(
            $"There is no run in '{run}' that holds its options ({name}); name its folder with --output, say --resume, and give the options again.");
    }

    /// <summary>Whether a value comes from the file.</summary>
    public bool Gives(Option option) => _options.Contains(option);

    private static ConfigFile Read(string path, ParseResult given)
    {
        var file = new ConfigFile(path);
        using var json = Open(path);
        if (json.RootElement.ValueKind != JsonValueKind.Object)
        {
            var found = Describe(json.RootElement);
            throw new ConfigException($"{OptionName} '{path}' must hold a JSON object of options, {{\"batch-size\": 16}}, but holds {found}.");
        }

        var problems = new List<string>();
        var seen = new HashSet<string>();
        foreach (var member in json.RootElement.EnumerateObject())
        {
            var problem = seen.Add(member.Name) ? file.Add(member, given) : $"'{member.Name}' is there twice";
            if (problem is not null)
            {
                problems.Add($"{OptionName} '{path}': {problem}.");
            }
        }

        return problems.Count == 0 ? file : throw new ConfigException(problems);
    }

    private static JsonDocument Open(string path)
    {
        try
        {
            return JsonDocument.Parse(TextFile.ReadUtf8(path, TextFile.MostBytesOfJson));
        }
        catch (JsonException e)
        {
            throw new ConfigException($"{OptionName} '{path}' is no JSON: {e.Message}", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NextPatchException)
        {
            throw new ConfigException($"{OptionName} '{path}' cannot be read: {e.Message}", e);
        }
    }

    /// <returns>What is wrong with the member, or null.</returns>
    private string? Add(JsonProperty member, ParseResult given)
    {
        if (TextKeys.Contains(member.Name))
        {
            return null;
        }

        var options = given.CommandResult.Command.Options.Where(o => o.Name != OptionName).ToList();
        if (options.Find(o => o.Name == "--" + member.Name) is not { } option)
        {
            return Unknown(member.Name, options.Select(o => o.Name[2..]).Concat(TextKeys));
        }

        var (type, isList) = option.ValueType.IsArray ? (option.ValueType.GetElementType()!, true) : (option.ValueType, false);
        var (expected, kinds) = option is ResumeOption
            ? ("true, false or text", [JsonValueKind.True, JsonValueKind.False, JsonValueKind.String])
            : Expected(Nullable.GetUnderlyingType(type) ?? type);
        JsonElement[] values = isList && member.Value.ValueKind == JsonValueKind.Array ? [.. member.Value.EnumerateArray()] : [member.Value];
        foreach (var value in values)
        {
            if (!kinds.Contains(value.ValueKind) || value.ToString().Length == 0)
            {
                return $"'{member.Name}' must be {expected}{(isList ? ", or a list of such" : "")}, not {Describe(value)}";
            }
        }

        if (given.GetResult(option) is null or { Implicit: true })
        {
            _options.Add(option);
            _words.AddRange(values.Select(v => $"{option.Name}={(v.ValueKind == JsonValueKind.String ? v.GetString() : v.GetRawText())}"));
        }

        return null;
    }

    private static (string Name, JsonValueKind[] Kinds) Expected(Type type) => Type.GetTypeCode(type) switch
    {
        TypeCode.Boolean => ("true or false", [JsonValueKind.True, JsonValueKind.False]),
        >= TypeCode.SByte and <= TypeCode.Decimal when !type.IsEnum => ("a number", [JsonValueKind.Number]),
        _ => ("text", [JsonValueKind.String]),
    };

    private static string Unknown(string key, IEnumerable<string> known)
    {
        var hint = Suggestion.For(key, known) is { } nearest ? $"; did you mean '{nearest}'?" : ".";
        return $"'{key}' is no option of this command{hint} Keys are {string.Join(", ", known.Order(StringComparer.Ordinal))}";
    }

    private static string Describe(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "a list",
        JsonValueKind.String when value.GetString() is "" => "empty text",
        _ => value.GetRawText(),
    };
}
