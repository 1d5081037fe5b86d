using System.Runtime.InteropServices;

namespace NextPatch.Cli.CommandLine;

/// <summary>
/// Turns Ctrl+C and SIGTERM into cancellation. The first one asks the command to finish its step and stop; the second one is left to
/// the system, which ends the process.
/// </summary>
internal sealed class StopSignals : IDisposable
{
    private const int FileSizeSignal = 25; // of Linux and macOS
    private static readonly int UserSignal = OperatingSystem.IsMacOS() ? 30 : 10; // SIGUSR1

    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(3);
    private static volatile bool _isPatient;
    private static int _signal;

    private readonly CancellationTokenSource _stop = new();
    private readonly PosixSignalRegistration[] _registrations;

    public StopSignals()
    {
        PosixSignal[] signals = OperatingSystem.IsWindows()
            ? [PosixSignal.SIGINT, PosixSignal.SIGTERM]
            : [PosixSignal.SIGINT, PosixSignal.SIGTERM, (PosixSignal)UserSignal];
        _registrations = [.. signals.Select(signal => PosixSignalRegistration.Create(signal, OnSignal))];
    }

    public CancellationToken Token => _stop.Token;

    /// <summary>Whether a signal is taken without a word, as on ranks beside the first.</summary>
    public static bool IsSilent { get; set; }

    /// <summary>Whether a scheduler asked to stop, who will start the run again, rather than a person.</summary>
    /// <param name="ranks">Processes that compute it.</param>
    public static bool IsRequeue(int ranks) => _signal == UserSignal || (ranks > 1 && _signal == (int)PosixSignal.SIGTERM);

    /// <summary>Lets the command finish its step and save, however long that takes: the first signal does not end it.</summary>
    public static void LetFinish() => _isPatient = true;

    /// <summary>
    /// Until disposed, the process outlives its terminal (SIGHUP), a file beyond the allowed size is an error that can be handled
    /// instead of the end (SIGXFSZ), and SIGUSR1, which schedulers send before they take the machine away, asks to stop as SIGTERM does.
    /// </summary>
    public static IDisposable OutliveTerminal()
    {
        LetFinish();
        return new Registrations(OperatingSystem.IsWindows()
            ? [PosixSignalRegistration.Create(PosixSignal.SIGHUP, Ignore)]
            : [PosixSignalRegistration.Create(PosixSignal.SIGHUP, Ignore), PosixSignalRegistration.Create((PosixSignal)FileSizeSignal, Ignore)]);
    }

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
        _signal = (int)context.Signal;
        if (!_isPatient)
        {
            new Thread(EndAfterGrace) { IsBackground = true }.Start();
        }

        _stop.Cancel();
        if (IsSilent)
        {
            return;
        }

        try
        {
            Console.Error.WriteLine(
                $"{Environment.NewLine}{(_isPatient ? "Stopping once what is under way is done; again ends it at once." : "Stopping.")}");
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or UnauthorizedAccessException)
        {
            // The terminal is gone; what escapes here would end the process before it has saved.
        }
    }

    /// <summary>A command that has nothing to save may be where no token is looked at: in a system call, in one long computation.</summary>
    private static void EndAfterGrace()
    {
        Thread.Sleep(Grace);
        Environment.Exit(ExitCode.Cancelled);
    }

    private static void Ignore(PosixSignalContext context) => context.Cancel = true;

    private sealed class Registrations(PosixSignalRegistration[] registrations) : IDisposable
    {
        public void Dispose() => Array.ForEach(registrations, r => r.Dispose());
    }
}
