using NextPatch.Core.Tensors;

namespace NextPatch.Cli.Inspection;

/// <summary>One tensor of a file, without its values.</summary>
/// <param name="Name">Its key.</param>
/// <param name="Shape">Extents, outermost first.</param>
/// <param name="Dtype">Element type in lower case: float32, uint16.</param>
internal sealed record TensorSummary(string Name, IReadOnlyList<long> Shape, string Dtype)
{
    public TensorSummary(string name, IReadOnlyList<long> shape, ElementType type)
        : this(name, shape, ElementTypes.NameOf(type))
    {
    }
}
