using NextPatch.Core;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace NextPatch.Cli.Rendering;

/// <summary>The same as <see cref="PrintableWriter"/> for tables and colours, whose own control codes must pass.</summary>
internal sealed class PrintableSegments : IRenderHook
{
    public IEnumerable<IRenderable> Process(RenderOptions options, IEnumerable<IRenderable> renderables)
        => renderables.Select(IRenderable (renderable) => new Escaped(renderable));

    private sealed class Escaped(IRenderable inner) : IRenderable
    {
        public Measurement Measure(RenderOptions options, int maxWidth) => inner.Measure(options, maxWidth);

        public IEnumerable<Segment> Render(RenderOptions options, int maxWidth) => inner.Render(options, maxWidth).Select(segment =>
            segment.IsControlCode || segment.IsLineBreak || ReferenceEquals(PrintableText.Of(segment.Text), segment.Text)
                ? segment
                : new Segment(PrintableText.Of(segment.Text), segment.Style));
    }
}
