using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace NextPatch.Cli.CommandLine;

/// <summary>
/// Standard streams as a caller left them: job runners start programs with some of them closed. The next file that is opened then takes the number of
/// the missing one, and what is written to the terminal would go into it.
/// </summary>
internal static class StandardStreams
{
    private const int GetFlags = 3; // F_GETFL of Linux and macOS
    private const int AccessMode = 3; // O_ACCMODE
    private const int Output = 1;
    private const int Error = 2;

    private static readonly List<SafeFileHandle> Plugs = [];

    /// <summary>Puts /dev/null where a stream is closed, before a file of ours takes its place.</summary>
    public static (TextWriter Output, TextWriter Error) Open()
    {
        if (OperatingSystem.IsWindows())
        {
            return (Console.Out, Console.Error);
        }

        var (hasOutput, hasError) = (IsWritable(Output), IsWritable(Error));
        if (!hasOutput || !hasError)
        {
            SafeFileHandle plug;
            do
            {
                plug = File.OpenHandle("/dev/null", FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
                Plugs.Add(plug);
            }
            while (plug.DangerousGetHandle() <= Error);
        }

        return (hasOutput ? Console.Out : new ClosedWriter(), hasError ? Console.Error : TextWriter.Null);
    }

    /// <summary>Closed, or taken by a library that the runtime opened to read.</summary>
    private static bool IsWritable(int stream) => Control(stream, GetFlags) is var flags && flags >= 0 && (flags & AccessMode) != 0;

    [DllImport("libc", EntryPoint = "fcntl")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Control(int file, int command);

    /// <summary>Says that what a program asked for went nowhere.</summary>
    private sealed class ClosedWriter : TextWriter
    {
        public override Encoding Encoding => Encoding.UTF8;

        public override void Write(char value) => throw new IOException("The standard output is closed.");
    }
}
