using NextPatch.Core.Patches;
using static TorchSharp.torch;

namespace NextPatch.Torch.Gpt.Fused;

/// <summary><see cref="FusedGpt"/> without the element type.</summary>
internal interface IFusedGptModel : IDisposable
{
    StepProfiler Clock { get; }

    IEnumerable<(string Name, Tensor Copy)> Copies { get; }

    void Refresh();

    double Forward(
        ReadOnlyMemory<long> labels, ReadOnlyMemory<long> codes, PatchGeometry geometry, ulong seed, double scale, CaptionBatch? captions,
        int firstImage);

    void Backward(Action<string>? isDone);

    double Evaluate(ReadOnlyMemory<long> labels, ReadOnlyMemory<long> codes, PatchGeometry geometry, CaptionBatch? captions);
}
