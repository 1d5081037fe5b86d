using NextPatch.Core.Generation;
using NextPatch.Core.Sampling;

namespace NextPatch.Cpu.Generation;

/// <summary>A <see cref="DecodeBatch"/> as servers see it.</summary>
internal sealed class CpuGenerationBatch : IGenerationBatch
{
    private readonly DecodeBatch _batch;
    private readonly int _length;

    /// <param name="batch">Stays the engine's.</param>
    /// <param name="codesPerImage">T.</param>
    public CpuGenerationBatch(DecodeBatch batch, int codesPerImage) => (_batch, _length) = (batch, codesPerImage);

    public int Rows => _batch.Rows;

    public bool HasRoom(SamplingConfig sampling) => _batch.HasRoom(new SequenceRequest(0, 0, 0, sampling));

    public IImageInProgress Enter(GenerationRequest request, int place) => _batch.Enter(new SequenceRequest(
        request.Labels[place], request.FirstIndex + place, request.Seed, request.Sampling,
        request.GivenCodes is { } given ? given.Skip(place * _length).Take(_length).ToArray() : default, request.Prompts?[place]));

    public void Leave(IImageInProgress image) => _batch.Leave((Sequence)image);

    public void Step() => _batch.Step();
}
