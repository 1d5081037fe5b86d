using System.Runtime.InteropServices;
using NextPatch.Cli.Rendering;
using NextPatch.Core;
using NextPatch.Torch.Loading;

namespace NextPatch.Cli.CommandLine;

/// <summary>The one place where exceptions become a message and an exit code.</summary>
internal static class ErrorBoundary
{
    public static async Task<int> RunAsync(Terminal terminal, Func<Task<int>> body)
    {
        try
        {
            return await body();
        }
#pragma warning disable CA1031 // Nothing may escape: an unhandled exception aborts the process with a dump instead of an exit code.
        catch (Exception e)
#pragma warning restore CA1031
        {
            return Explain(message => Say(terminal, message), e);
        }
    }

    public static int Explain(Action<string> say, Exception exception)
    {
        switch (Expected(exception))
        {
            case OperationCanceledException:
                return ExitCode.Cancelled;
            case ConfigException e:
                say(OptionNames.In(e));
                return ExitCode.Usage;
            case LibTorchNotFoundException e:
                say($"{e.Message} 'nextpatch doctor --get-libtorch' fetches it.");
                return ExitCode.Failure;
            case NextPatchException e:
                say(OptionNames.In(e));
                return ExitCode.Failure;
            case UnauthorizedAccessException e:
                say($"The system does not allow it: {e.Message} Choose another folder, or change its permissions.");
                return ExitCode.Failure;
            case IOException e:
                say($"Reading or writing failed: {e.Message}");
                return ExitCode.Failure;
            case OutOfMemoryException:
            case ExternalException e when e.Message.Contains("not enough memory", StringComparison.OrdinalIgnoreCase): // libtorch's
                say("There is not enough memory for this; take fewer or smaller images, or smaller batches.");
                return ExitCode.Failure;
            default:
                say($"This is a defect of NextPatch; please report it with the lines below.{Environment.NewLine}{exception}");
                return ExitCode.Failure;
        }
    }

    /// <summary>A terminal that is gone must not turn the exit code into a crash.</summary>
    public static void Say(Terminal terminal, string message)
    {
        try
        {
            terminal.WriteError(message);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or UnauthorizedAccessException)
        {
        }
    }

    /// <summary>The cause that a person can act on: a static constructor of TorchSharp wraps the reason why libtorch does not load.</summary>
    private static Exception Expected(Exception exception)
    {
        for (var e = exception; e is not null; e = e.InnerException)
        {
            if (e is NextPatchException)
            {
                return e;
            }
        }

        return exception;
    }
}
