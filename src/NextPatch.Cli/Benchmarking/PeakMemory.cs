using System.Globalization;

namespace NextPatch.Cli.Benchmarking;

/// <summary>Largest resident memory of this process since <see cref="Reset"/>; where the system cannot forget the peak, since it started.</summary>
internal static class PeakMemory
{
    public static void Reset()
    {
        if (OperatingSystem.IsLinux())
        {
            try
            {
                File.WriteAllText("/proc/self/clear_refs", "5"); // proc(5): resets VmHWM
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // The figure is then that of the process.
            }
        }
    }

    public static long Bytes()
    {
        if (OperatingSystem.IsLinux()
            && File.ReadLines("/proc/self/status").FirstOrDefault(l => l.StartsWith("VmHWM:", StringComparison.Ordinal)) is { } line)
        {
            return long.Parse(line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) << 10;
        }

        using var process = System.Diagnostics.Process.GetCurrentProcess();
        return process.PeakWorkingSet64;
    }
}
