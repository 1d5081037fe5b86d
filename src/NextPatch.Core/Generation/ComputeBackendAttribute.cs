using System.Diagnostics.CodeAnalysis;

namespace NextPatch.Core.Generation;

/// <summary>Says which type of an assembly is its <see cref="IComputeBackend"/>.</summary>
[AttributeUsage(AttributeTargets.Assembly)]
public sealed class ComputeBackendAttribute : Attribute
{
    /// <param name="type">Has a constructor without parameters.</param>
    public ComputeBackendAttribute([DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicParameterlessConstructor)] Type type)
        => Type = type;

    [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicParameterlessConstructor)]
    public Type Type { get; }
}
