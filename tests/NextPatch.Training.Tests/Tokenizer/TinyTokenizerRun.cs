using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Configuration;
using NextPatch.Core.Tensors;
using NextPatch.Data.Sources;
using NextPatch.Torch.Perception;
using NextPatch.Training.Tokenizer;
using static TorchSharp.torch;

namespace NextPatch.Training.Tests.Tokenizer;

/// <summary>Images and settings of a tokenizer run that takes a second: drawn shapes, somewhat larger than the crops.</summary>
internal static class TinyTokenizerRun
{
    public static TokenizerConfig Tokenizer { get; } = new()
    {
        ImageSide = 16, CodebookSize = 16, CodeWidth = 4, Channels = [16, 16], BlockCounts = [0, 1],
    };

    public static TokenizerImageOptions ImageOptions { get; } = new() { Side = 16, Seed = 5, HeldOutShare = 0.2 };

    public static TokenizerRunConfig Config(TokenizerImages images) => new()
    {
        Tokenizer = Tokenizer,
        Objective = new VqganTrainingConfig
        {
            LearningRate = 3e-3, EmaDecay = 0.9, EmaWarmup = true, Reconstruction = ReconstructionLoss.Both, WarmsDiscriminator = false,
        },
        Steps = 24, BatchSize = 4, WarmupSteps = 2, DecayShare = 0.2, ContinuousSteps = 4, RevivalInterval = 3, Seed = 5, Data = images.Data,
    };

    /// <summary>Writes an archive of 40 images of 22x19 pixels.</summary>
    public static string WriteImages(string folder)
    {
        var shapes = ShapesDataset.Create(3, trainCount: 40, heldOutCount: 0).Train;
        var pixels = Enumerable.Range(0, 40)
            .SelectMany(i => Enumerable.Range(0, 19).SelectMany(y => shapes.Image(i).Slice(y * 32 * 3, 22 * 3).ToArray())).ToArray();
        Directory.CreateDirectory(folder);
        var path = Path.Combine(folder, "images.npz");
        using var writer = new NpzWriter(path);
        writer.Add("arr_0", HostTensor.From<byte>(ElementType.UInt8, [40, 19, 22, 3], pixels));
        writer.Add("labels", HostTensor.From<long>(ElementType.Int64, [40], shapes.Labels.Select(l => (long)l).ToArray()));
        return path;
    }

    public static TokenizerRunResult Train(
        string path, TokenizerRunOptions options, Func<TokenizerRunConfig, TokenizerRunConfig>? change = null, IPerceptualLoss? perception = null,
        long stopAfter = long.MaxValue)
    {
        using var images = TokenizerImages.Open(path, ImageOptions);
        using var stop = new CancellationTokenSource();
        var config = (change ?? (c => c))(Config(images));
        using var run = new TokenizerRun(config, images, options with { LogEvery = 1, OnProgress = Watch }, perception);
        return run.Run(stop.Token);

        void Watch(TokenizerRunProgress progress)
        {
            options.OnProgress?.Invoke(progress);
            if (progress.Step >= stopAfter)
            {
                stop.Cancel();
            }
        }
    }

    /// <summary>The files of a checkpoint by name, but for the seconds that state.json and with it SHA256SUMS hold.</summary>
    public static Dictionary<string, string> Contents(string folder) => Directory.GetFiles(folder)
        .Where(f => Path.GetFileName(f) is not ("state.json" or "SHA256SUMS"))
        .ToDictionary(f => Path.GetFileName(f), f => Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(f))));

    /// <summary>A perceptual loss that costs nothing: the distance of halved images, or what a test wants.</summary>
    public sealed class Perception(Func<Tensor, Tensor>? change = null) : IPerceptualLoss
    {
        public int SmallestSide => 1;

        /// <summary>What the last call was asked to compute in.</summary>
        public ScalarType? ComputeType { get; private set; }

        public Tensor Distance(Tensor images, Tensor reconstructions, ScalarType? computeType = null)
        {
            ComputeType = computeType;
            using var scope = NewDisposeScope();
            var distance = (nn.functional.avg_pool2d(images, 2) - nn.functional.avg_pool2d(reconstructions, 2)).square().mean();
            return (change?.Invoke(distance) ?? distance).MoveToOuterDisposeScope();
        }

        public void Dispose()
        {
        }
    }
}
