using System.Diagnostics;

namespace NextPatch.Cli.Benchmarking.Decoding;

/// <summary>Time of single codes.</summary>
internal static class StepSeconds
{
    public static double Of(Action action)
    {
        var start = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    /// <summary>The position of the i-th code measured.</summary>
    public static int Position(int i, int codes, int length) => (int)((i + 0.5) * length / codes);
}
