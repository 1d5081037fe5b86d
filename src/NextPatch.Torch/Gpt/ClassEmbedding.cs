using NextPatch.Core.Configuration;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Torch.Gpt;

/// <summary>
/// The condition token of a class, int64 [B] -> float [B, 1, C]; the last row is the null class where labels are dropped in training.
/// </summary>
/// <remarks>Label dropout happens where batches are made (a pure function of seed and step), not here.</remarks>
internal sealed class ClassEmbedding : Module<Tensor, Tensor>
{
    [ComponentName(Name = "embedding_table")] private readonly EmbeddingTable _table;

    public ClassEmbedding(GptConfig config)
        : base(nameof(ClassEmbedding))
    {
        _table = new EmbeddingTable(config.ClassRows, config.Width);
        RegisterComponents();
    }

    public override Tensor forward(Tensor labels)
    {
        using var scope = NewDisposeScope();
        return _table.forward(labels).unsqueeze(1).MoveToOuterDisposeScope(); // [B, 1, C]
    }
}
