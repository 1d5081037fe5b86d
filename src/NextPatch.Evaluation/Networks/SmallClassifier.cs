using NextPatch.Core.Sampling;
using NextPatch.Torch.Tokenizer;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NextPatch.Evaluation.Networks;

// Shape letters used in this file: N images asked for, B images in this call, S pixels per side, F features (64), K classes.

/// <summary>
/// A small image classifier: three 3x3 convolutions (32, 64, 96 channels) with 2x2 maximum, GroupNorm and ReLU, then 64 units and
/// the classes. The 64 units are the features in which images are compared.
/// </summary>
internal sealed class SmallClassifier : Module<Tensor, Tensor>
{
    /// <summary>Number of features.</summary>
    public const int FeatureCount = 64;

    private const int PooledSide = 4;
    private const int BatchSize = 64;
    private static readonly int[] Channels = [32, 64, 96];

    [ComponentName(Name = "conv")] private readonly ModuleList<Conv2d> _convolutions;
    [ComponentName(Name = "norm")] private readonly ModuleList<GroupNorm> _norms;
    [ComponentName(Name = "features")] private readonly Linear _features;
    [ComponentName(Name = "classes")] private readonly Linear _classes;

    /// <param name="imageSide">S, at least 8.</param>
    /// <param name="classCount">K.</param>
    /// <param name="seed">Seed of the initial weights.</param>
    public SmallClassifier(int imageSide, int classCount, ulong seed)
        : base(nameof(SmallClassifier))
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(imageSide, 8);
        ArgumentOutOfRangeException.ThrowIfLessThan(classCount, 2);
        (ImageSide, ClassCount) = (imageSide, classCount);
        manual_seed((long)(new CounterRandom(seed, RandomStream.Evaluation).Bits(long.MaxValue, 0) >> 1));
        using var scope = NewDisposeScope(); // TorchSharp's convolutions leave a tensor behind each when they are made
        _convolutions = new ModuleList<Conv2d>();
        _norms = new ModuleList<GroupNorm>();
        var channels = 3;
        foreach (var next in Channels)
        {
            _convolutions.Add(Conv2d(channels, next, 3, padding: 1));
            _norms.Add(GroupNorms.Create(next));
            channels = next;
        }

        _features = Linear(channels * PooledSide * PooledSide, FeatureCount);
        _classes = Linear(FeatureCount, classCount);
        RegisterComponents();
        foreach (var parameter in parameters())
        {
            parameter.DetachFromDisposeScope();
        }
    }

    public int ImageSide { get; }

    public int ClassCount { get; }

    /// <param name="images">float [B, 3, S, S] in [-1, 1].</param>
    /// <returns>Logits, float [B, K].</returns>
    public override Tensor forward(Tensor images)
    {
        using var scope = NewDisposeScope();
        return _classes.forward(Features(images)).MoveToOuterDisposeScope();
    }

    /// <summary>Predicted classes and features of images in bytes.</summary>
    /// <param name="pixels">uint8 [N, S, S, 3].</param>
    /// <param name="cancellation">Checked between batches.</param>
    public Classification Classify(ReadOnlyMemory<byte> pixels, CancellationToken cancellation = default)
    {
        var size = ImageSide * ImageSide * 3;
        var count = ImageTensors.CountImages(pixels.Length, ImageSide);
        var (labels, features) = (new int[count], new float[count * FeatureCount]);
        using var noGradient = no_grad();
        for (var first = 0; first < count; first += BatchSize)
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var batch = Math.Min(BatchSize, count - first);
            var images = ImageTensors.FromPixels(pixels.Span.Slice(first * size, batch * size), ImageSide); // [B, 3, S, S]
            var units = Features(images);                                                                   // [B, F]
            units.data<float>().CopyTo(features, first * FeatureCount);
            _classes.forward(units).argmax(1).to(ScalarType.Int32).data<int>().CopyTo(labels, first);
        }

        return new Classification(labels, features);
    }

    // float [B, F], after the ReLU.
    private Tensor Features(Tensor images)
    {
        using var scope = NewDisposeScope();
        var x = images;
        for (var i = 0; i < Channels.Length; i++)
        {
            x = functional.relu(_norms[i].forward(functional.max_pool2d(_convolutions[i].forward(x), 2)));
        }

        if (x.size(2) != PooledSide)
        {
            x = functional.adaptive_avg_pool2d(x, [PooledSide, PooledSide]);
        }

        return functional.relu(_features.forward(x.flatten(1))).MoveToOuterDisposeScope();
    }
}

/// <summary>What a classifier says about N images.</summary>
/// <param name="Labels">[N]: predicted classes.</param>
/// <param name="Features">[N, <see cref="SmallClassifier.FeatureCount"/>].</param>
internal sealed record Classification(int[] Labels, float[] Features)
{
    /// <summary>Share of the predictions that equal the given labels, in [0, 1].</summary>
    /// <exception cref="ArgumentException">The counts differ, or there is none.</exception>
    public double AgreementWith(ReadOnlySpan<int> labels)
    {
        if (labels.Length != Labels.Length || labels.Length == 0)
        {
            throw new ArgumentException($"{Labels.Length} predictions cannot be compared with {labels.Length} labels.", nameof(labels));
        }

        var agreeing = 0;
        for (var i = 0; i < labels.Length; i++)
        {
            agreeing += Labels[i] == labels[i] ? 1 : 0;
        }

        return (double)agreeing / labels.Length;
    }
}
