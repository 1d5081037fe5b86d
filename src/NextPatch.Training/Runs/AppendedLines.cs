using System.Text;
using NextPatch.Core.Files;

namespace NextPatch.Training.Runs;

/// <summary>A text file that only grows, by whole lines: what a full disk refuses waits in memory, and nothing half-written stays.</summary>
internal sealed class AppendedLines : IDisposable
{
    private readonly FileStream _file;
    private readonly StringBuilder _waiting = new();
    private long _whole;

    /// <param name="path">Made where it is missing.</param>
    /// <param name="isKept">Decides which of the lines that are there stay: everything from the first one that does not, or that has no end, is cut
    /// off.</param>
    public AppendedLines(string path, Func<string, bool> isKept)
    {
        RegularFile.Require(path);
        _file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read, bufferSize: 0);
        try
        {
            var bytes = new byte[_file.Length];
            _file.ReadExactly(bytes);
            _whole = bytes.AsSpan().StartsWith(Encoding.UTF8.Preamble) ? Encoding.UTF8.Preamble.Length : 0; // editors add a mark
            for (int end; (end = Array.IndexOf(bytes, (byte)'\n', (int)_whole)) >= 0; _whole = end + 1)
            {
                var line = Encoding.UTF8.GetString(bytes.AsSpan((int)_whole..end));
                if (!isKept(line))
                {
                    break;
                }

                Last = line;
            }

            _file.SetLength(_whole);
        }
        catch
        {
            _file.Dispose();
            throw;
        }
    }

    /// <summary>The last line, also where it still waits; null where there is none.</summary>
    public string? Last { get; private set; }

    /// <summary>Appends a line and those that wait.</summary>
    /// <exception cref="IOException">The disk did not take it; the line waits for the next call.</exception>
    public void Write(string line)
    {
        Last = line;
        _waiting.Append(line).Append('\n');
        WriteWaiting();
    }

    /// <summary>Writes a line in place of the last one; where that still waits for the disk, behind it.</summary>
    /// <exception cref="IOException">The disk did not take it; the line waits for the next call.</exception>
    public void ReplaceLast(string line)
    {
        if (_waiting.Length == 0 && Last is not null)
        {
            _whole -= Encoding.UTF8.GetByteCount(Last) + 1;
            _file.SetLength(_whole);
        }

        Write(line);
    }

    public void Dispose()
    {
        try
        {
            WriteWaiting();
        }
        catch (Exception e) when (DiskTrouble.Is(e))
        {
            // The run said so when it began.
        }

        _file.Dispose();
    }

    private void WriteWaiting()
    {
        var bytes = Encoding.UTF8.GetBytes(_waiting.ToString());
        _file.Position = _whole; // over the half of a line that a full disk may have left
        _file.Write(bytes);
        _whole += bytes.Length;
        _waiting.Clear();
    }
}
