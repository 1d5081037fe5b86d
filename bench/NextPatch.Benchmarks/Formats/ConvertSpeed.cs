using System.Diagnostics;
using System.Globalization;
using NextPatch.Cli.Benchmarking;
using NextPatch.Core;
using NextPatch.Core.Tensors;

namespace NextPatch.Benchmarks.Formats;

/// <summary>
/// Times the program itself, start included, against a plain copy of the same bytes; both flushed to the disk, input in the cache,
/// output not there before. Rounds alternate, so that other work on the machine meets both.
/// </summary>
internal static class ConvertSpeed
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(2);

    public static void Run(string preset, string folder, int rounds)
    {
        Directory.CreateDirectory(folder);
        try
        {
            var source = Path.Combine(folder, "source.pt");
            FormulaWeights.Write(source, preset, ElementType.Float32);
            Execute("sync", []);
            Console.WriteLine(
                $"GPT-{preset}, {new FileInfo(source).Length / 1e9:0.00} GB, {rounds} rounds; seconds: cp and fsync | convert with the same bytes "
                + $"| ratio; RssAnon at its peak");
            foreach (var output in (string[])["out.safetensors", "out.pt", "out.npz"])
            {
                Compare(source, Path.Combine(folder, output), Path.Combine(folder, "copy"), rounds);
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static void Compare(string source, string output, string copy, int rounds)
    {
        var (copies, conversions, peak) = (new List<double>(), new List<double>(), 0L);
        for (var round = -1; round < rounds; round++)
        {
            var copied = Timed(copy, () => Copy(source, copy));
            var converted = Timed(output, () => peak = Math.Max(peak, Execute("dotnet", [Program(), "convert", source, output])));
            if (round >= 0) // the first round warms the cache
            {
                copies.Add(copied);
                conversions.Add(converted);
            }
        }

        var ratios = copies.Zip(conversions, (c, v) => v / c).Order().ToList();
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{Path.GetExtension(output),-12} cp {copies.Min():0.00} .. {copies.Max():0.00} | convert {conversions.Min():0.00} .. "
                + $"{conversions.Max():0.00} | of the fastest {conversions.Min() / copies.Min():0.00}, median of pairs "
                + $"{ratios[ratios.Count / 2]:0.00}; RssAnon {peak / 1e6:0} MB"));
    }

    private static double Timed(string product, Action action)
    {
        File.Delete(product);
        Execute("sync", []);
        var start = Stopwatch.GetTimestamp();
        action();
        var seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        File.Delete(product);
        return seconds;
    }

    private static void Copy(string source, string copy)
    {
        Execute("cp", ["--reflink=never", source, copy]);
        using var handle = File.OpenHandle(copy, FileMode.Open, FileAccess.ReadWrite);
        RandomAccess.FlushToDisk(handle);
    }

    /// <summary>Runs a program to its end.</summary>
    /// <returns>The largest RssAnon seen, in bytes.</returns>
    private static long Execute(string program, string[] args)
    {
        using var process = Process.Start(new ProcessStartInfo(program, args) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var peak = 0L;
        while (!process.WaitForExit(PollInterval))
        {
            peak = Math.Max(peak, RssAnon(process.Id));
        }

        return process.ExitCode == 0
            ? peak
            : throw new NextPatchException($"{program} {string.Join(' ', args)} failed: {process.StandardError.ReadToEnd()}");
    }

    private static long RssAnon(int process)
    {
        try
        {
            var line = File.ReadLines($"/proc/{process}/status").FirstOrDefault(l => l.StartsWith("RssAnon:", StringComparison.Ordinal));
            return line is null ? 0 : long.Parse(line.AsSpan(8).Trim().TrimEnd(" kB"), CultureInfo.InvariantCulture) * 1024;
        }
        catch (IOException)
        {
            return 0; // it has just ended
        }
    }

    private static string Program()
    {
        var program = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../NextPatch.Cli/release/nextpatch.dll"));
        return File.Exists(program)
            ? program
            : throw new NextPatchException($"{program} does not exist; run 'dotnet build -c Release src/NextPatch.Cli' first.");
    }
}
