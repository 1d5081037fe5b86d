using System.Runtime.InteropServices;

namespace NextPatch.Cli.CommandLine;

/// <summary>
/// Turns Ctrl+C and SIGTERM into cancellation. The first one asks the command to finish its step and stop; the second one is left to
/// the system, which ends the process.
/// </summary>
internal sealed class StopSignals : IDisposable
{
    private const int FileSizeSignal = 25; // of Linux and macOS

    private readonly CancellationTokenSource _stop = new();
    private readonly PosixSignalRegistration[] _registrations;

    public StopSignals()
        => _registrations =
            [PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal), PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal)];

    public CancellationToken Token => _stop.Token;

    /// <summary>
    /// Until disposed, the process outlives its terminal (SIGHUP), and a file beyond the allowed size is an error that can be handled
    /// instead of the end (SIGXFSZ).
    /// </summary>
    public static IDisposable OutliveTerminal() => new Registrations(
        OperatingSystem.IsWindows()
            ? [PosixSignalRegistration.Create(PosixSignal.SIGHUP, Ignore)]
            : [PosixSignalRegistration.Create(PosixSignal.SIGHUP, Ignore), PosixSignalRegistration.Create((PosixSignal)FileSizeSignal, Ignore)]);

    public void Dispose()
    {
        foreach (var registration in _registrations)
        {
            registration.Dispose();
        }

        _stop.Dispose();
    }

    private void OnSignal(PosixSignalContext context)
    {
        if (_stop.IsCancellationRequested)
        {
            return;
        }

        context.Cancel = true;
        _stop.Cancel();
        try
        {
            Console.Error.WriteLine($"{Environment.NewLine}Stopping after the current step; once more ends it at once.");
        }
        catch (IOException)
        {
            // The terminal is gone; what escapes here would end the process before it has saved.
        }
    }

    private static void Ignore(PosixSignalContext context) => context.Cancel = true;

    private sealed class Registrations(PosixSignalRegistration[] registrations) : IDisposable
    {
        public void Dispose() => Array.ForEach(registrations, r => r.Dispose());
    }
}
