using System.Runtime.InteropServices;

namespace NextPatch.Core.Tensors;

/// <summary>float32 elements that are computed each time they are read.</summary>
internal sealed class GeneratedTensor : StoredTensor
{
    private readonly ElementFill _fill;

    public GeneratedTensor(IReadOnlyList<long> shape, ElementFill fill)
        : base(ElementType.Float32, shape) => _fill = fill;

    public override void CopyTo(long offset, Span<byte> destination) => _fill(offset / sizeof(float), MemoryMarshal.Cast<byte, float>(destination));
}
