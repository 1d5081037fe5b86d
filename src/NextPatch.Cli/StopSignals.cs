using System.Runtime.InteropServices;

namespace NextPatch.Cli;

/// <summary>
/// Turns Ctrl+C and SIGTERM into cancellation. The first one asks the command to finish its step and stop; the second one is left to
/// the system, which ends the process.
/// </summary>
internal sealed class StopSignals : IDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly PosixSignalRegistration[] _registrations;

    public StopSignals()
        => _registrations = [PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal), PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal)];

    public CancellationToken Token => _stop.Token;

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
        Console.Error.WriteLine($"{Environment.NewLine}Stopping after the current step; once more ends it at once.");
    }
}
