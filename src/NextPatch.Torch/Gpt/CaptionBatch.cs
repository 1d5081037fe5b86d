using NextPatch.Torch.Devices;
using static TorchSharp.torch;

namespace NextPatch.Torch.Gpt;

// Shape letters: B images, K condition rows, L tokens of a caption, W numbers per token.

/// <summary>The captions of a micro-batch: features in the last L of K rows, as published; K need only hold the longest one of them.</summary>
/// <param name="Features">float [B, K, W]; rows before a caption are zero.</param>
/// <param name="Lengths">L of each image, [B].</param>
/// <param name="IsDropped">Whose features become the unconditional ones, [B]; what the image sees of them stays the caption's length.</param>
internal sealed record CaptionBatch(float[] Features, int[] Lengths, bool[] IsDropped)
{
    /// <summary>K for captions of these lengths: at least one row predicts the first patch.</summary>
    public static int RowsFor(ReadOnlySpan<int> lengths)
    {
        var rows = 1;
        foreach (var length in lengths)
        {
            rows = Math.Max(rows, length);
        }

        return rows;
    }

    /// <summary>K of this batch.</summary>
    /// <param name="width">W.</param>
    public int Rows(int width) => Features.Length / Lengths.Length / width;

    /// <summary>What <see cref="GptModel"/> takes, in the caller's dispose scope: features float [B, K, W] with dropped ones replaced, and which rows
    /// are tokens, bool [B, K], null where all are.</summary>
    public (Tensor Features, Tensor? IsToken) ToTensors(GptModel model)
    {
        using var scope = NewDisposeScope();
        var (images, unconditional) = (Lengths.Length, model.UnconditionalFeatures!);                     // [Kmax, W]
        var rows = Rows((int)unconditional.size(1));

        // A copy in libtorch's own memory: products round by where a matrix begins, and managed arrays begin anywhere.
        var features = TorchDevices.Upload(tensor(Features, [images, rows, unconditional.size(1)]), unconditional.device).clone();
        if (Array.Exists(IsDropped, dropped => dropped))
        {
            var last = unconditional.narrow(0, unconditional.size(0) - rows, rows);                       // [K, W]
            features = where(tensor(IsDropped, device: unconditional.device).reshape(-1, 1, 1), last, features);
        }

        var isToken = Array.TrueForAll(Lengths, length => length == rows) ? null
            : arange(rows, device: unconditional.device).ge(rows - tensor(Lengths, device: unconditional.device).unsqueeze(1)); // [B, K]
        return (features.MoveToOuterDisposeScope(), isToken?.MoveToOuterDisposeScope());
    }
}
