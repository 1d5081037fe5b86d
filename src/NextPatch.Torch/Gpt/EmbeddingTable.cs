using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Gpt;

/// <summary>Rows of a table by index, int64 [...] -> float [..., C]. Left unset, as <see cref="Projection"/>.</summary>
internal sealed class EmbeddingTable : Module<Tensor, Tensor>
{
    [ComponentName(Name = "weight")] private readonly Parameter _weight; // [Rows, C]

    public EmbeddingTable(long rows, long width)
        : base(nameof(EmbeddingTable))
    {
        _weight = Parameter(empty(rows, width));
        RegisterComponents();
    }

    /// <summary>float [Rows, C], owned by the module.</summary>
    public Parameter Weight => _weight;

    public override Tensor forward(Tensor indices)
    {
        using var scope = NewDisposeScope();
        var rows = _weight.index_select(0, indices.reshape(-1)); // [N, C]
        return rows.reshape([.. indices.shape, _weight.size(1)]).MoveToOuterDisposeScope();
    }
}
