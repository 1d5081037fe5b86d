using static TorchSharp.torch;

namespace NextPatch.Torch.Perception;

/// <summary>How different reconstructions look from their images, as a pretrained network sees it.</summary>
public interface IPerceptualLoss : IDisposable
{
    /// <summary>Least width and height of images in pixels.</summary>
    int SmallestSide { get; }

    /// <summary>Distance, averaged over the batch; differentiable in both.</summary>
    /// <param name="images">float [B, 3, H, W] in [-1, 1].</param>
    /// <param name="reconstructions">float [B, 3, H, W], nominally in [-1, 1].</param>
    /// <param name="computeType">Type that convolutions may compute in; null = that of the images, which the comparison of features keeps.</param>
    /// <returns>A scalar, 0 for equal images, in the caller's dispose scope.</returns>
    Tensor Distance(Tensor images, Tensor reconstructions, ScalarType? computeType = null);
}
