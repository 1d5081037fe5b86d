using System.Text;
using NextPatch.Cli.Rendering;

namespace NextPatch.Cli.Tests.Screens;

/// <summary>A terminal of so many columns, without colours: what stands on it in the end.</summary>
internal sealed class FakeScreen(int width) : TextWriter, IScreen
{
    private readonly List<StringBuilder> _lines = [new()];
    private int _column;

    public int Width => width;

    /// <summary>Whether a line was too long.</summary>
    public bool IsWrapped { get; private set; }

    public override Encoding Encoding => Encoding.UTF8;

    public override void Write(char value)
    {
        switch (value)
        {
            case '\r':
                _column = 0;
                break;
            case '\n':
                _lines.Add(new());
                _column = 0;
                break;
            default:
                if (_column == width)
                {
                    IsWrapped = true;
                    _lines.Add(new());
                    _column = 0;
                }

                var line = _lines[^1];
                if (_column < line.Length)
                {
                    line[_column] = value;
                }
                else
                {
                    line.Append(value);
                }

                _column++;
                break;
        }
    }

    public override string ToString() => string.Join('\n', _lines.Select(l => l.ToString().TrimEnd())).TrimEnd();
}
