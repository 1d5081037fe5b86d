using System.CommandLine;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Spectre.Console;

namespace NextPatch.Cli.Rendering;

/// <summary>Where a command writes: data to one stream, everything a person watches to the other.</summary>
internal sealed class Terminal
{
    private const int WidthOfFiles = 160;
    private const int WidthOfText = 80;
    private const int MostWidthOfText = 120;

    private readonly TextWriter _error;
    private readonly bool _isOutputShown;

    private static readonly JsonSerializerOptions JsonFormat = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new JsonStringEnumConverter() },
    };

    /// <param name="output">Data.</param>
    /// <param name="error">Progress, logs and errors.</param>
    public Terminal(TextWriter output, TextWriter error)
    {
        Data = new PrintableWriter(output);
        Log = new PrintableWriter(error);
        _error = error;
        _isOutputShown = output is IScreen || (ReferenceEquals(output, Console.Out) && !Console.IsOutputRedirected);
        var watched = error is IScreen || (ReferenceEquals(error, Console.Error) && !Console.IsErrorRedirected);
        (Output, Error) = (CreateConsole(output, _isOutputShown && output is not IScreen), CreateConsole(error, watched && error is not IScreen));
        TextWidth = _isOutputShown ? Math.Clamp(Output.Profile.Width, 40, MostWidthOfText) : WidthOfText;
        IsLive = error is IScreen || (watched && !IsSet("NO_COLOR") && !IsSet("CI") && Error.Profile.Capabilities.Ansi);
    }

    /// <summary>Plain text of stdout, JSON and the like; control characters are escaped.</summary>
    public TextWriter Data { get; }

    /// <summary>Plain text of stderr; control characters are escaped.</summary>
    public TextWriter Log { get; }

    /// <summary>Tables and colours on stdout; plain text where it is no terminal.</summary>
    public IAnsiConsole Output { get; }

    /// <summary>Colours on stderr.</summary>
    public IAnsiConsole Error { get; }

    /// <summary>Columns of running text on stdout, as in the help.</summary>
    public int TextWidth { get; }

    /// <summary>Whether a moving progress line may be drawn on stderr.</summary>
    public bool IsLive { get; }

    /// <summary>The streams that a command was invoked with.</summary>
    public static Terminal From(ParseResult parsed) => new(parsed.InvocationConfiguration.Output, parsed.InvocationConfiguration.Error);

    public ProgressReporter CreateProgress() => new(this);

    /// <summary>Moves to the start of the line on stderr, over what stands there.</summary>
    public void ReturnToLineStart() => _error.Write('\r');

    /// <summary>
    /// Names and values on stdout, a line each; on a terminal values go on below their beginning. Those that are null or empty are left out.
    /// </summary>
    /// <param name="facts">In order.</param>
    /// <param name="nameWidth">Columns of the names.</param>
    public void WriteFacts(IEnumerable<(string Name, string? Value)> facts, int nameWidth)
    {
        foreach (var (name, value) in facts.Where(f => !string.IsNullOrEmpty(f.Value)))
        {
            var lines = _isOutputShown ? TextWrap.Words(value!, Output.Profile.Width - nameWidth - 1) : [value!];
            foreach (var (i, line) in lines.Index())
            {
                Data.WriteLine($"{(i == 0 ? name : "").PadRight(nameWidth)} {line}");
            }
        }
    }

    /// <summary>A sentence for stderr in lines that a terminal can show whole; as it is where it is none, because people search for it.</summary>
    private string Fit(string sentence)
    {
        var indent = sentence.Length - sentence.TrimStart(' ').Length;
        return IsLive && sentence.Length >= Error.Profile.Width && !sentence.Contains('\n', StringComparison.Ordinal)
            ? string.Join(
                Environment.NewLine, TextWrap.Words(sentence.Trim(), Error.Profile.Width - indent - 1).Select(l => new string(' ', indent) + l))
            : sentence;
    }

    /// <summary>A sentence on stderr.</summary>
    public void WriteNote(string sentence) => Log.WriteLine(Fit(sentence));

    /// <summary>A message in red on stderr.</summary>
    public void WriteError(string message)
    {
        if (IsLive)
        {
            Error.Write(new Spectre.Console.Text(message, new Style(Color.Red)));
            Error.WriteLine();
        }
        else
        {
            Log.WriteLine(message); // never wrapped: people search for it
        }
    }

    /// <summary>An object on stdout as indented JSON, in camel case.</summary>
    public void WriteJson<T>(T value) => Data.WriteLine(ToJson(value));

    /// <summary>The same as text, for files.</summary>
    public static string ToJson<T>(T value) => JsonSerializer.Serialize(value, JsonFormat);

    private static IAnsiConsole CreateConsole(TextWriter writer, bool isTerminal)
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(writer),
            Ansi = isTerminal ? AnsiSupport.Detect : AnsiSupport.No,
            ColorSystem = isTerminal ? ColorSystemSupport.Detect : ColorSystemSupport.NoColors,
            Interactive = InteractionSupport.No,
        });
        console.Pipeline.Attach(new PrintableSegments());
        if (writer is IScreen screen)
        {
            console.Profile.Width = screen.Width;
        }
        else if (!isTerminal)
        {
            console.Profile.Width = WidthOfFiles;
        }

        return console;
    }

    private static bool IsSet(string variable) => !string.IsNullOrEmpty(Environment.GetEnvironmentVariable(variable));
}

/// <summary>A writer that is shown like a terminal: for tests of what people see.</summary>
internal interface IScreen
{
    /// <summary>Columns.</summary>
    int Width { get; }
}
