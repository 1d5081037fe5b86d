using System.Diagnostics.CodeAnalysis;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;

namespace NextPatch.Core.Generation;

/// <summary>
/// Makes engines and tokenizers out of weights. An assembly offers one with <see cref="ComputeBackendAttribute"/>; the library NextPatch
/// finds it there, so that a program without libtorch need not have it. Several threads may call it.
/// </summary>
public interface IComputeBackend
{
    /// <summary>What a person calls it: "TorchSharp (CPU)".</summary>
    string Name { get; }

    /// <summary>Threads that it computes on.</summary>
    int ThreadCount { get; }

    /// <summary>A transformer ready to draw.</summary>
    /// <param name="config">Its sizes.</param>
    /// <param name="weights">Read here, and not needed afterwards.</param>
    /// <param name="precision"><see cref="ComputePrecision.Bf16"/> halves the memory.</param>
    /// <exception cref="NextPatchException">The weights do not fit the sizes, or the backend cannot start.</exception>
    IGenerationEngine OpenEngine(GptConfig config, WeightsFile weights, ComputePrecision precision = ComputePrecision.Fp32);

    /// <summary>A tokenizer ready to encode and decode.</summary>
    /// <param name="config">Its sizes.</param>
    /// <param name="weights">Read here, and not needed afterwards.</param>
    /// <param name="precision">Arithmetic of the encoder; codes are compared with the codebook, and decoded, in float32 always.</param>
    /// <param name="encodingBatch">Images per call of the encoder; null = what suits the tokenizer. Another number may round to other codes.</param>
    /// <exception cref="NextPatchException">The weights do not fit the sizes, or the backend cannot start.</exception>
    IImageTokenizer OpenTokenizer(
        TokenizerConfig config, WeightsFile weights, ComputePrecision precision = ComputePrecision.Fp32, int? encodingBatch = null);
}

/// <summary>Says which type of an assembly is its <see cref="IComputeBackend"/>.</summary>
[AttributeUsage(AttributeTargets.Assembly)]
public sealed class ComputeBackendAttribute : Attribute
{
    /// <param name="type">Has a constructor without parameters.</param>
    public ComputeBackendAttribute([DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicParameterlessConstructor)] Type type)
        => Type = type;

    /// <summary>The class that implements <see cref="IComputeBackend"/>; it needs a constructor without parameters.</summary>
    [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicParameterlessConstructor)]
    public Type Type { get; }
}
