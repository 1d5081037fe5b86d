using System.Reflection;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Cpu;

namespace NextPatch.Models;

/// <summary>Finds what computes where a program does not say it.</summary>
internal static class ComputeBackends
{
    /// <summary>Assemblies that may offer what the engine in C# cannot do; the first one beside the program is taken.</summary>
    public static readonly string[] Others = ["NextPatch.Torch"];

    private static readonly AutomaticBackend Default = new();

    /// <param name="chosen">What the program says; null: the engine in C# wherever it can.</param>
    public static IComputeBackend Find(IComputeBackend? chosen) => chosen ?? Default;

    /// <summary>The backend of the first of these assemblies that lies beside the program.</summary>
    /// <exception cref="NextPatchException">None does.</exception>
    public static IComputeBackend First(IEnumerable<string> assemblies)
        => assemblies.Select(From).FirstOrDefault(backend => backend is not null)
            ?? throw new NextPatchException(
            "Nothing that computes lies beside the program; add a reference to the package NextPatch.Torch, or set Backend in the options.");

    private static IComputeBackend? From(string name)
    {
        try
        {
            return Assembly.Load(name).GetCustomAttribute<ComputeBackendAttribute>() is { } found
                ? (IComputeBackend)Activator.CreateInstance(found.Type)!
                : null;
        }
        catch (FileNotFoundException)
        {
            return null;
        }
    }
}

/// <summary>The engine in C#; what it cannot do is left to what lies beside the program.</summary>
internal sealed class AutomaticBackend : IComputeBackend
{
    private readonly CpuBackend _managed = new();

    public string Name => _managed.Name;

    public int ThreadCount => _managed.ThreadCount;

    public IGenerationEngine OpenEngine(GptConfig config, WeightsFile weights, ComputePrecision precision = ComputePrecision.Fp32)
        => _managed.OpenEngine(config, weights, precision);

    public IImageTokenizer OpenTokenizer(
        TokenizerConfig config, WeightsFile weights, ComputePrecision precision = ComputePrecision.Fp32, int? encodingBatch = null)
        => (precision == ComputePrecision.Fp32 ? _managed : ComputeBackends.First(ComputeBackends.Others))
            .OpenTokenizer(config, weights, precision, encodingBatch);
}
