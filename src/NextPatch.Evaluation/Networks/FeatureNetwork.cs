using NextPatch.Core;
using NextPatch.Torch.Devices;
using NextPatch.Torch.Loading;
using static TorchSharp.torch;

namespace NextPatch.Evaluation.Networks;

// Shape letters used in this file: N images asked for, B images in this pass, S side of the network's input, D features.

/// <summary>What all feature networks share: images are checked, resized and computed in passes of a fixed number of images.</summary>
internal abstract class FeatureNetwork : IFeatureNetwork
{
    private readonly int _batch;
    private readonly List<IDisposable> _owned = [];

    /// <param name="name">As figures carry it.</param>
    /// <param name="weightsHash">SHA-256 of the file.</param>
    /// <param name="side">S.</param>
    /// <param name="resize">How images get there.</param>
    /// <param name="batch">B: enough for the convolutions to be fast, few enough for the activations to stay small.</param>
    protected FeatureNetwork(string name, string weightsHash, int side, ResizeProtocol resize, int batch)
        => (Name, WeightsHash, InputSide, Resize, _batch) = (name, weightsHash, side, resize, batch);

    /// <summary>Where it computes.</summary>
    public Device Device { get; set; } = CPU;

    public string Name { get; }

    public string WeightsHash { get; }

    public int? InputSide { get; }

    public ResizeProtocol? Resize { get; }

    public abstract int FeatureCount { get; }

    public virtual int SpatialCount => 0;

    public virtual int ClassCount => 0;

    public ImageFeatures Extract(ReadOnlySpan<byte> pixels, int height, int width)
    {
        var size = (long)height * width * 3;
        if (height < 1 || width < 1 || pixels.Length % size != 0)
        {
            throw new NextPatchException(
                $"{pixels.Length} bytes are no RGB images of {width}x{height} pixels ({size} bytes each) for {Name}; images of one channel have to "
                + $"be made RGB first.");
        }

        var count = (int)(pixels.Length / size);
        var features = new ImageFeatures(count, new float[count * FeatureCount], new float[count * SpatialCount], new float[count * ClassCount]);
        NativeBackend.EnsureLoaded();
        using var noGradient = no_grad();
        for (var first = 0; first < count; first += _batch)
        {
            using var scope = NewDisposeScope();
            var taken = Math.Min(_batch, count - first);
            var squares = ImageResize.ToSquares(
                pixels.Slice((int)(first * size), (int)(taken * size)).ToArray(), height, width, InputSide!.Value, Resize!.Value);
            // [B, 3, S, S]
            var (pooled, spatial, logits) = Forward(
                TorchDevices.Upload(tensor(squares, [taken, InputSide.Value, InputSide.Value, 3]), Device).permute(0, 3, 1, 2));
            Keep(pooled, features.Pooled, first * FeatureCount);
            Keep(spatial, features.Spatial, first * SpatialCount);
            Keep(logits, features.Logits, first * ClassCount);
        }

        return Array.TrueForAll(features.Pooled, float.IsFinite)
            ? features
            : throw new NextPatchException($"{Name} gave features that are not finite; its weights (SHA-256 {WeightsHash[..8]}…) are damaged.");
    }

    public void Dispose() => _owned.ForEach(o => o.Dispose());

    /// <summary>Keeps what must be disposed with the network, and, in a constructor that fails, before.</summary>
    protected T Own<T>(T owned)
        where T : IDisposable
    {
        _owned.Add(owned);
        return owned;
    }

    /// <summary>A tensor that lives as long as the network.</summary>
    protected Tensor Own(float[] values, params long[] shape) => Own(tensor(values, shape).DetachFromDisposeScope());

    /// <param name="levels">float [B, 3, S, S] in 0..255, laid out channels-last; may be overwritten.</param>
    /// <returns>[B, D] and what else the network has, one row per image.</returns>
    protected abstract (Tensor Pooled, Tensor? Spatial, Tensor? Logits) Forward(Tensor levels);

    private static void Keep(Tensor? rows, float[] into, int at) => rows?.cpu().contiguous().data<float>().CopyTo(into, at);
}
