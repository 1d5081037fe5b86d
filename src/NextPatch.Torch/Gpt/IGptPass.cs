using NextPatch.Core.Patches;
using static TorchSharp.torch;

namespace NextPatch.Torch.Gpt;

/// <summary><see cref="TrainingPass"/> without the element type.</summary>
internal interface IGptPass : IDisposable
{
    PassClock Clock { get; }

    IEnumerable<(string Name, Tensor Copy)> Copies { get; }

    void Refresh();

    double Forward(ReadOnlyMemory<long> labels, ReadOnlyMemory<long> codes, PatchGeometry geometry, ulong seed, double scale);

    void Backward();

    double Evaluate(ReadOnlyMemory<long> labels, ReadOnlyMemory<long> codes, PatchGeometry geometry);
}
