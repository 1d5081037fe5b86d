using System.Diagnostics;
using NextPatch.Evaluation;
using Spectre.Console;

namespace NextPatch.Cli.Rendering;

/// <summary>
/// What long operations report to. On a terminal one line that is overwritten in place (never cleared, so it does not flicker);
/// elsewhere a plain line every other second. May be called from any thread, at any rate, and never throws.
/// </summary>
internal sealed class ProgressReporter : IDisposable
{
    private const int BarWidth = 24;
    private const int NarrowBarWidth = 10;
    private static readonly TimeSpan LiveInterval = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan PlainInterval = TimeSpan.FromSeconds(2);

    private readonly Terminal _terminal;
    private readonly Lock _gate = new();
    private string _label = "";
    private long _labelStarted;
    private long _written;
    private int _lineLength;
    private (long Done, long Total, string? Extra)? _unwritten;

    public ProgressReporter(Terminal terminal) => _terminal = terminal;

    /// <summary>Says how far an operation is.</summary>
    /// <param name="label">What runs: "Training". Another label starts a new line.</param>
    /// <param name="done">Units done.</param>
    /// <param name="total">Units in all; 0 = unknown.</param>
    /// <param name="extra">Shown behind; null = an estimate of the time left.</param>
    public void Report(string label, long done, long total, string? extra = null) => Safely(() =>
    {
        if (label != _label)
        {
            EndLine();
            _label = label;
            _labelStarted = Stopwatch.GetTimestamp();
            _written = 0;
        }

        _unwritten = (done, total, extra);
        if (_written == 0 || done == total || Stopwatch.GetElapsedTime(_written) >= (_terminal.IsLive ? LiveInterval : PlainInterval))
        {
            WriteProgress();
        }
    });

    /// <summary>Writes a line that stays, above the progress line.</summary>
    public void WriteLine(string line) => Safely(() =>
    {
        if (_lineLength > 0)
        {
            _terminal.ReturnToLineStart();
            _terminal.Log.Write(new string(' ', _lineLength));
            _terminal.ReturnToLineStart();
            _lineLength = 0;
        }

        _terminal.WriteNote(line);
    });

    /// <summary>
    /// An adapter for operations that report a number of finished units. Says at once that the operation begins: the first unit may take minutes.
    /// </summary>
    public IProgress<int> For(string label, long total)
    {
        Report(label, 0, total);
        return new CountProgress(this, label, total);
    }

    /// <summary>The same for evaluations.</summary>
    public IProgress<EvaluationProgress> ForEvaluation() => new ProgressLine<EvaluationProgress>(p => Report(p.Work, p.Done, p.Total));

    /// <summary>Ends the current line; the reporter may be used again.</summary>
    public void Dispose() => Safely(EndLine);

    private void EndLine()
    {
        if (_unwritten is not null)
        {
            WriteProgress();
        }

        if (_lineLength > 0)
        {
            _terminal.Log.WriteLine();
            _lineLength = 0;
        }

        _label = "";
    }

    private void WriteProgress()
    {
        var (done, total, extra) = _unwritten!.Value;
        _unwritten = null;
        _written = Stopwatch.GetTimestamp();
        var counts = total > 0 ? $"{done}/{total}" : $"{done}";
        var tail = extra ?? TimeLeft(done, total);
        if (!_terminal.IsLive)
        {
            _terminal.Log.WriteLine($"{_label} {counts}{(tail.Length > 0 ? "  " : "")}{tail}");
            return;
        }

        // One column stays free: a full line would wrap, and the next one would not overwrite it.
        var width = Math.Max(_terminal.Error.Profile.Width - 1, 20);
        var bar = _label.Length + 1 + BarWidth + counts.Length + tail.Length + 3 <= width ? BarWidth : NarrowBarWidth;
        var filled = total > 0 ? (int)Math.Clamp(done * bar / total, 0, bar) : 0;
        var used = _label.Length + 1 + bar;
        var rest = $" {counts}  {Shorten(tail, width - used - counts.Length - 3)}";
        rest = rest[..Math.Max(0, Math.Min(rest.Length, width - used))];
        var padding = new string(' ', Math.Max(0, _lineLength - used - rest.Length));
        _terminal.ReturnToLineStart();
        _terminal.Error.Markup(
            $"{Markup.Escape(_label)} "
            + $"[green]{new string('━', filled)}[/][grey]{new string('─', bar - filled)}[/]{Markup.Escape(rest + padding)}");
        _lineLength = used + rest.Length;
    }

    /// <summary>Leaves parts out where a line is too long, from behind, but not the time left.</summary>
    private static string Shorten(string tail, int width)
    {
        var parts = tail.Split("  ").ToList();
        var first = parts.Count > 1 && parts[^1].EndsWith(" left", StringComparison.Ordinal) ? 2 : 1;
        while (parts.Count > first && parts.Sum(p => p.Length + 2) - 2 > width)
        {
            parts.RemoveAt(parts.Count - first);
        }

        return string.Join("  ", parts);
    }

    private string TimeLeft(long done, long total)
    {
        var elapsed = Stopwatch.GetElapsedTime(_labelStarted);
        return done > 0 && done < total && elapsed > TimeSpan.FromSeconds(2)
            ? $"{Quantity.Duration(elapsed.TotalSeconds / done * (total - done))} left"
            : "";
    }

    private void Safely(Action action)
    {
        lock (_gate)
        {
            try
            {
                action();
            }
#pragma warning disable CA1031 // A closed or odd terminal must not end a training run.
            catch (Exception)
#pragma warning restore CA1031
            {
                _unwritten = null;
            }
        }
    }

    private sealed class CountProgress(ProgressReporter reporter, string label, long total) : IProgress<int>
    {
        public void Report(int value) => reporter.Report(label, value, total);
    }
}

/// <summary>
/// Hands reports to an action at once, on the thread that makes them: <see cref="Progress{T}"/> queues them and may tell them late.
/// </summary>
internal sealed class ProgressLine<T>(Action<T> action) : IProgress<T>
{
    public void Report(T value) => action(value);
}
