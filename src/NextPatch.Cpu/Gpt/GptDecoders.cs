using System.Runtime.Intrinsics;
using NextPatch.Core.Configuration;
using NextPatch.Core.Tensors;
using NextPatch.Kernels.Simd;

namespace NextPatch.Cpu.Gpt;

/// <summary>Makes the decoder for a processor and a way to keep weights.</summary>
internal static class GptDecoders
{
    /// <summary>With the widest vectors that the processor has.</summary>
    /// <inheritdoc cref="PromptCache{L, T}(int, int, int, bool)" path="/param[@name='isPlain']"/>
    public static IGptDecoder Create(
        GptConfig config, IReadOnlyDictionary<string, StoredTensor> tensors, WeightStorage storage, int maxRows, int threads, bool isPlain = false)
        => Vector512.IsHardwareAccelerated ? Create<Simd16>(config, tensors, storage, maxRows, threads, isPlain)
            : Vector256.IsHardwareAccelerated ? Create<Simd8>(config, tensors, storage, maxRows, threads, isPlain)
            : Vector128.IsHardwareAccelerated ? Create<Simd4>(config, tensors, storage, maxRows, threads, isPlain)
            : Create<Simd1>(config, tensors, storage, maxRows, threads, isPlain);

    /// <summary>With vectors of a given width.</summary>
    public static IGptDecoder Create<L>(
        GptConfig config, IReadOnlyDictionary<string, StoredTensor> tensors, WeightStorage storage, int maxRows, int threads, bool isPlain = false)
        where L : unmanaged, ISimd<L> => storage switch
        {
            WeightStorage.Int8 => new GptDecoder<L, Int8, Bf16>(config, tensors, maxRows, threads, isPlain),
            WeightStorage.BFloat16 => new GptDecoder<L, Bf16, Bf16>(config, tensors, maxRows, threads, isPlain),
            _ => new GptDecoder<L, Fp32, Fp32>(config, tensors, maxRows, threads, isPlain),
        };
}
