using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace NextPatch.Cli.Diagnostics;

/// <summary>The processor and those of its abilities that decide speed here.</summary>
/// <param name="Name">As the system calls it.</param>
/// <param name="LogicalCores">Cores this process may use.</param>
/// <param name="Avx2">256-bit vectors: what libtorch needs to be fast at all.</param>
/// <param name="Avx512">512-bit vectors.</param>
/// <param name="Avx512Bf16">bf16 dot products: bf16 compute pays off.</param>
/// <param name="Amx">bf16 matrix tiles.</param>
internal sealed record Processor(string Name, int LogicalCores, bool Avx2, bool Avx512, bool Avx512Bf16, bool Amx)
{
    private const string LinuxDescription = "/proc/cpuinfo";

    /// <summary>Whether bf16 matrix products are faster than fp32 ones.</summary>
    public bool IsBf16Fast => Avx512Bf16 || Amx;

    /// <summary>One line for reports: "AMD EPYC, 2 cores, AVX2 AVX-512 bf16".</summary>
    public string Describe()
    {
        var abilities = new[] { (Avx2, "AVX2"), (Avx512, "AVX-512"), (Avx512Bf16, "bf16"), (Amx, "AMX") }.Where(a => a.Item1).Select(a => a.Item2);
        return $"{Name}, {LogicalCores} cores, {string.Join(' ', abilities)}";
    }

    public static Processor Detect() => File.Exists(LinuxDescription) && X86Base.IsSupported
        ? FromLinux(File.ReadLines(LinuxDescription), Environment.ProcessorCount)
        : FromInstructions();

    /// <summary>Reads the format of /proc/cpuinfo, where the kernel lists only what programs may use.</summary>
    internal static Processor FromLinux(IEnumerable<string> lines, int cores)
    {
        var fields = lines.TakeWhile(line => line.Length > 0)
            .Select(line => line.Split(':', 2, StringSplitOptions.TrimEntries))
            .Where(pair => pair.Length == 2)
            .DistinctBy(pair => pair[0])
            .ToDictionary(pair => pair[0], pair => pair[1]);
        var flags = fields.GetValueOrDefault("flags", "").Split(' ').ToHashSet();
        return new Processor(
            fields.GetValueOrDefault("model name", "unknown"), cores, flags.Contains("avx2"), flags.Contains("avx512f"),
            flags.Contains("avx512_bf16"),
            flags.Contains("amx_bf16"));
    }

    private static Processor FromInstructions()
    {
        var name = Environment.GetEnvironmentVariable("PROCESSOR_IDENTIFIER") ?? RuntimeInformation.ProcessArchitecture.ToString();
        if (!X86Base.IsSupported || X86Base.CpuId(0, 0).Eax < 7)
        {
            return new Processor(name, Environment.ProcessorCount, false, false, false, false);
        }

        // CPUID leaf 7: sub-leaf 1 EAX bit 5 = AVX512_BF16, sub-leaf 0 EDX bit 22 = AMX-BF16 (Intel SDM, volume 2A).
        var bf16 = Avx512F.IsSupported && (X86Base.CpuId(7, 1).Eax & (1 << 5)) != 0;
        var amx = Avx512F.IsSupported && (X86Base.CpuId(7, 0).Edx & (1 << 22)) != 0;
        return new Processor(name, Environment.ProcessorCount, System.Runtime.Intrinsics.X86.Avx2.IsSupported, Avx512F.IsSupported, bf16, amx);
    }
}
