using System.Text;
using NextPatch.Core;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace NextPatch.Cli.Rendering;

/// <summary>
/// Passes text on with its control characters escaped: names, metadata and paths come from files, and would else write to a terminal's title, its
/// colours, or over the lines above. The one place where this is done for plain text.
/// </summary>
internal sealed class PrintableWriter(TextWriter inner) : TextWriter(inner.FormatProvider)
{
    public override Encoding Encoding => inner.Encoding;

    public override void Write(char value) => inner.Write(PrintableText.From(value.ToString()));

    public override void Write(string? value) => inner.Write(value is null ? null : Escaped(value));

    public override void Write(char[] buffer, int index, int count) => Write(new string(buffer, index, count));

    public override void Write(ReadOnlySpan<char> buffer) => Write(buffer.ToString());

    public override void WriteLine() => inner.WriteLine();

    public override void WriteLine(string? value) => inner.WriteLine(value is null ? null : Escaped(value));

    public override void WriteLine(ReadOnlySpan<char> buffer) => WriteLine(buffer.ToString());

    public override void Flush() => inner.Flush();

    /// <summary>Windows ends lines with two characters, of which the first acts on a terminal elsewhere.</summary>
    private static string Escaped(string text)
        => PrintableText.From(Environment.NewLine == "\n" ? text : text.Replace(Environment.NewLine, "\n", StringComparison.Ordinal));
}

/// <summary>The same as <see cref="PrintableWriter"/> for tables and colours, whose own control codes must pass.</summary>
internal sealed class PrintableSegments : IRenderHook
{
    public IEnumerable<IRenderable> Process(RenderOptions options, IEnumerable<IRenderable> renderables)
        => renderables.Select(IRenderable (renderable) => new Escaped(renderable));

    private sealed class Escaped(IRenderable inner) : IRenderable
    {
        public Measurement Measure(RenderOptions options, int maxWidth) => inner.Measure(options, maxWidth);

        public IEnumerable<Segment> Render(RenderOptions options, int maxWidth) => inner.Render(options, maxWidth).Select(segment =>
            segment.IsControlCode || segment.IsLineBreak || ReferenceEquals(PrintableText.From(segment.Text), segment.Text)
                ? segment
                : new Segment(PrintableText.From(segment.Text), segment.Style));
    }
}
