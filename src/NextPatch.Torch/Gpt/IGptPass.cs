using NextPatch.Core.Patches;
using static TorchSharp.torch;

namespace NextPatch.Torch.Gpt;

/// <summary>Loss and gradients of a <see cref="GptModel"/>: what a training step computes before the optimiser.</summary>
internal interface IGptPass : IDisposable
{
    /// <summary>Copies of parameters in another type, by state key, which the optimiser must renew; may be empty. Owned by this object.</summary>
    IReadOnlyDictionary<string, Tensor> Copies { get; }

    /// <summary>Makes <see cref="Copies"/> anew: call it when parameters changed other than by the optimiser.</summary>
    void RefreshCopies();

    /// <summary>Embedding, blocks, output head and patch loss; the gradients of the head are formed here.</summary>
    /// <param name="labels">Classes or null class, [B].</param>
    /// <param name="codes">Codes in row-major order, [B, T]; must not change before <see cref="Backward"/> has run.</param>
    /// <param name="geometry">How codes become patches.</param>
    /// <param name="seed">Decides all dropout; the same elements in every implementation.</param>
    /// <param name="scale">Weight of this micro-batch in the step, images here / images of the step.</param>
    /// <param name="captions">Of a text model, in place of labels, whose number alone then counts.</param>
    /// <param name="firstImage">Images of the micro-batch before these, which another process computes: dropout goes on behind them.</param>
    void Forward(
        ReadOnlyMemory<long> labels, ReadOnlyMemory<long> codes, PatchGeometry geometry, ulong seed = 0, double scale = 1,
        CaptionBatch? captions = null, int firstImage = 0);

    /// <summary>Adds the gradients of the last <see cref="Forward"/> to those of the parameters.</summary>
    /// <param name="isDone">Receives the name of each parameter as soon as this pass will not change its gradient any more.</param>
    /// <exception cref="InvalidOperationException">There was none since the last call.</exception>
    void Backward(Action<string>? isDone = null);

    /// <summary>
    /// Sum of the mean patch losses of every <see cref="Forward"/> since the last call, each times its scale, in nats. A device, which computes later
    /// than it is told to, is waited for here alone.
    /// </summary>
    double TakeLoss();

    /// <summary>The mean patch loss in nats without dropout and gradients. No <see cref="Backward"/> may follow.</summary>
    /// <param name="labels">Classes or null class, [B].</param>
    /// <param name="codes">Codes in row-major order, [B, T].</param>
    /// <param name="geometry">How codes become patches.</param>
    /// <param name="captions">As of <see cref="Forward"/>.</param>
    double Evaluate(ReadOnlyMemory<long> labels, ReadOnlyMemory<long> codes, PatchGeometry geometry, CaptionBatch? captions = null);
}
