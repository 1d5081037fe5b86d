using System.Reflection;
using NextPatch.Core;
using NextPatch.Core.Generation;

namespace NextPatch.Models;

/// <summary>Finds what computes where a program does not say it.</summary>
internal static class ComputeBackends
{
    /// <summary>Assemblies that may offer a backend; the first one beside the program is taken.</summary>
    private static readonly string[] Assemblies = ["NextPatch.Torch"];

    private static readonly Lazy<IComputeBackend> Default = new(() => First(Assemblies));

    /// <param name="chosen">What the program says; null: what lies beside it.</param>
    /// <exception cref="NextPatchException">Nothing computes.</exception>
    public static IComputeBackend Find(IComputeBackend? chosen) => chosen ?? Default.Value;

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
