using System.Diagnostics;
using NextPatch.Core;
using Xunit;

namespace NextPatch.Testing;

/// <summary>Files with bytes changed or an end cut off: they are read or refused, in bounded time and memory, and never end the process.</summary>
/// <remarks>NEXTPATCH_FUZZ sets the number of cases, NEXTPATCH_FUZZ_SEED the first.</remarks>
public static class HostileBytes
{
    private const int DefaultCases = 400;
    private const long MostBytes = 200_000_000;

    /// <param name="path">The file; in the end it is as it was.</param>
    /// <param name="read">Reads it; a <see cref="NextPatchException"/> is a refusal, any other a defect.</param>
    /// <param name="mustRefuse">Whether damage must be noticed at least once.</param>
    public static void Read(string path, Action read, bool mustRefuse = true)
    {
        read();
        var whole = File.ReadAllBytes(path);
        var cases = int.TryParse(Environment.GetEnvironmentVariable("NEXTPATCH_FUZZ"), out var asked) ? asked : DefaultCases;
        _ = int.TryParse(Environment.GetEnvironmentVariable("NEXTPATCH_FUZZ_SEED"), out var firstSeed);
        var refused = 0;
        for (var seed = firstSeed; seed < firstSeed + cases; seed++)
        {
            var random = new Random(seed);
            byte[] bytes = random.Next(4) == 0 ? whole[..random.Next(whole.Length)] : [.. whole];
            for (var i = random.Next(1, 5); i > 0 && bytes.Length > 0; i--)
            {
                bytes[random.Next(random.Next(2) == 0 ? bytes.Length : Math.Min(bytes.Length, 160))] = (byte)random.Next(256);
            }

            File.WriteAllBytes(path, bytes);
            var (start, before) = (Stopwatch.GetTimestamp(), GC.GetAllocatedBytesForCurrentThread());
            try
            {
                read();
            }
            catch (NextPatchException)
            {
                refused++;
            }
            catch (Exception e)
            {
                Assert.Fail($"seed {seed}: {e}");
            }

            Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < MostBytes, $"seed {seed} takes memory");
            Assert.True(Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(30), $"seed {seed} takes time");
        }

        File.WriteAllBytes(path, whole);
        Assert.True(refused > 0 || !mustRefuse, "damage is never noticed");
    }
}
