using System.Text;
using Microsoft.Win32.SafeHandles;

namespace NextPatch.Core.Files;

/// <summary>
/// Files that appear whole or not at all, whatever ends the process: written under a temporary name, flushed to the disk, renamed. Errors of the
/// system come out as they are; callers add what the file was for.
/// </summary>
internal static class AtomicFile
{
    // Large enough that flushing costs nothing, small enough that the disk works from the start.
    private const long FlushedPart = 32 << 20;

    private static readonly TimeSpan FlushInterval = TimeSpan.FromMilliseconds(10);

    /// <summary>The name of a file or folder while it is written.</summary>
    public static string PartialOf(string path) => path + ".partial";

    /// <summary>Writes a file beside its place and puts it there.</summary>
    /// <param name="path">What is there is replaced.</param>
    /// <param name="write">Writes the content.</param>
    /// <param name="temporary">Name until then; by default <see cref="PartialOf"/>.</param>
    public static void Write(string path, Action<FileStream> write, string? temporary = null)
    {
        temporary ??= PartialOf(path);
        try
        {
            WriteFlushed(temporary, write);
            File.Move(temporary, path, overwrite: true);
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    /// <inheritdoc cref="Write"/>
    public static void WriteText(string path, string text, string? temporary = null)
        => Write(path, stream => stream.Write(Encoding.UTF8.GetBytes(text)), temporary);

    /// <summary>Writes a file under this very name and returns when the disk has it.</summary>
    public static void WriteFlushed(string path, Action<FileStream> write)
    {
        using var stream = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None);
        using var written = new ManualResetEventSlim();

        // Flushing everything at the end would leave the disk idle until then, and the processor afterwards.
        var handle = stream.SafeFileHandle; // asking for it empties the stream's buffer, so not on another thread
        var flushing = Task.Run(() => FlushWhileWritten(handle, written));
        try
        {
            write(stream);
        }
        finally
        {
            written.Set();
            flushing.GetAwaiter().GetResult(); // the system reports a failed flush once
        }

        stream.Flush(flushToDisk: true);
    }

    /// <summary>Puts a file's content on the disk, so that it is there after a power cut.</summary>
    public static void Flush(string path)
    {
        using var handle = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite);
        RandomAccess.FlushToDisk(handle);
    }

    /// <summary>
    /// Gives files and folders that carry <see cref="PartialOf"/> their final names, in order; what has its name already is passed over, so
    /// that this may be interrupted and repeated.
    /// </summary>
    public static void Publish(string folder, IReadOnlyList<string> names)
    {
        foreach (var path in names.Select(name => Path.Combine(folder, name)))
        {
            if (Directory.Exists(PartialOf(path)))
            {
                Directory.Move(PartialOf(path), path);
            }
            else if (File.Exists(PartialOf(path)))
            {
                File.Move(PartialOf(path), path, overwrite: true);
            }
        }
    }

    private static void FlushWhileWritten(SafeFileHandle file, ManualResetEventSlim written)
    {
        for (var flushed = 0L; !written.Wait(FlushInterval);)
        {
            if (RandomAccess.GetLength(file) is var length && length - flushed >= FlushedPart)
            {
                RandomAccess.FlushToDisk(file);
                flushed = length;
            }
        }
    }
}
