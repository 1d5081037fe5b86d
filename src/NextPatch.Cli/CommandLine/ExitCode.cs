namespace NextPatch.Cli.CommandLine;

/// <summary>What the process says to its caller.</summary>
internal static class ExitCode
{
    public const int Success = 0;

    /// <summary>The work could not be done.</summary>
    public const int Failure = 1;

    /// <summary>The command line or a configuration asks for something that cannot work.</summary>
    public const int Usage = 2;

    /// <summary>
    /// Stopped with a checkpoint because the machine is wanted by others (SIGUSR1, or SIGTERM on several ranks), or a rank was lost: start it again
    /// (EX_TEMPFAIL of sysexits.h).
    /// </summary>
    public const int Requeue = 75;

    /// <summary>Stopped by Ctrl+C or SIGTERM (128 + SIGINT, as shells have it).</summary>
    public const int Cancelled = 130;
}
