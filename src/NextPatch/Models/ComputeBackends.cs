using System.Reflection;
using NextPatch.Core;
using NextPatch.Core.Generation;

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
