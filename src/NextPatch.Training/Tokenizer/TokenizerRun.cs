using NextPatch.Core;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Configuration;
using NextPatch.Core.Sampling;
using NextPatch.Core.Tensors;
using NextPatch.Data.Sources;
using NextPatch.Torch.Adversarial;
using NextPatch.Torch.Devices;
using NextPatch.Torch.Perception;
using NextPatch.Torch.Tokenizer;
using NextPatch.Training.Runs;
using static TorchSharp.torch;

namespace NextPatch.Training.Tokenizer;

/// <summary>
/// Trains a tokenizer on images in a folder. Data order, crops, learning rate, codebook start, revivals and perturbation are pure
/// functions of the Step, so a resumed run ends with the same bytes as one that was never interrupted.
/// </summary>
public sealed class TokenizerRun : TrainingRun
{
    // Fewer codes than this per code of the codebook say nothing about its use.
    private const int CodesPerEntry = 8;

    // Batches of images that are decoded while one is trained on.
    private const int BatchesAhead = 2;

    private readonly TokenizerRunConfig _config;
    private readonly TokenizerImages _images;
    private readonly TokenizerRunOptions _options;
    private readonly nn.Module<Tensor, Tensor>? _discriminator;
    private readonly TokenizerStep _trainer;
    private readonly DeadCodeRevival _upkeep;
    private readonly TokenizerCheckpoint _checkpoint;
    private readonly Prefetcher<byte[]> _batches;
    private readonly TokenizerValidator _judge;
    private byte[] _pixels = [];
    private TokenizerStepResult? _last;
    private TokenizerValidation? _validation;
    private TokenizerWindowSums _window = new();
    private double _seconds;
    private bool _isAlarmed;

    /// <param name="config">Settings.</param>
    /// <param name="images">Stay the caller's.</param>
    /// <param name="options">Folder, intervals, callbacks.</param>
    /// <param name="perception">Null: no perceptual loss. Stays the caller's.</param>
    /// <param name="initialWeights">Fills the tokenizer at the start of a fresh run; null = drawn from the seed.</param>
    /// <exception cref="ConfigException">Settings cannot work, or differ from those of the run to resume.</exception>
    /// <exception cref="NextPatchException">The folder cannot be written, another run holds it, or none of its checkpoints is whole.</exception>
    public TokenizerRun(
        TokenizerRunConfig config, TokenizerImages images, TokenizerRunOptions options, IPerceptualLoss? perception = null,
        Action<VqTokenizer>? initialWeights = null)
        : base(options)
    {
        _config = config.Validated();
        if (perception?.SmallestSide is { } least && least > _config.Tokenizer.ImageSide)
        {
            throw new ConfigException(
                $"The network of the perceptual loss takes images of at least {least}x{least} pixels, but they have "
                + $"{_config.Tokenizer.ImageSide}x{_config.Tokenizer.ImageSide}. Use larger images (ImageSide), or leave the perceptual loss out.")
            { Settings = ["ImageSide"] };
        }

        (_images, _options) = (images, options);
        _ = TorchDevices.Open(options.Device); // what is not there is refused before anything is written
        try
        {
            var checkpoint = TakeFolder(folder => TokenizerCheckpoint.RequireSame(folder, _config));
            Tokenizer = new VqTokenizer(_config.Tokenizer, _config.Seed)
            {
                ComputeType = _config.Precision == ComputePrecision.Bf16 ? ScalarType.BFloat16 : null,
            };
            _discriminator = CreateDiscriminator(_config);
            if (checkpoint is null)
            {
                initialWeights?.Invoke(Tokenizer);
            }

            TorchDevices.Move(Tokenizer, options.Device);
            if (_discriminator is not null)
            {
                TorchDevices.Move(_discriminator, options.Device);
            }

            var perturbation = _config.Perturbation is { } p ? new LatentPerturbation(p, _config.Seed) : null;
            _trainer = new TokenizerStep(Tokenizer, _config.Objective, _discriminator, perception, perturbation, _config.Frozen,
                isFlat: !TorchDevices.IsCpu(options.Device));
            _upkeep = new DeadCodeRevival(Tokenizer, _trainer, _config);
            _checkpoint = new TokenizerCheckpoint(Tokenizer, _discriminator, _trainer, _upkeep);
            _batches = new Prefetcher<byte[]>(images.Batch, BatchesAhead);
            _judge = new TokenizerValidator(Tokenizer, _trainer.Optimizer, images);
            if (checkpoint is not null)
            {
                var state = _checkpoint.Load(checkpoint);
                (_seconds, _window) = (state.Seconds, state.Window);
                Continue(checkpoint, state.Step, state.SkippedSteps, state.SkippedInARow);
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The weights that are trained.</summary>
    public VqTokenizer Tokenizer { get; }

    private protected override long TotalSteps => _config.Steps;

    private protected override IReadOnlyDictionary<string, object> Parameters => TokenizerMetrics.ParametersOf(_config);

    private protected override double LearningRate => _config.Objective.LearningRate;

    /// <summary>Settings of the run that wrote a checkpoint.</summary>
    /// <param name="checkpoint">Its folder.</param>
    /// <exception cref="NextPatchException">It is not there, or damaged.</exception>
    public static TokenizerRunConfig ReadConfig(string checkpoint) => TokenizerCheckpoint.ReadConfig(checkpoint);

    /// <summary>Trains to the end or until cancelled; either way the last thing it does is to write a checkpoint.</summary>
    /// <exception cref="NextPatchException">
    /// Too many steps in a row had a loss or gradient that is not finite, an image cannot be read, or a checkpoint could not be written and
    /// <see cref="RunOptions.OnFullDisk"/> says stop; the last checkpoint stays.
    /// </exception>
    public TokenizerRunResult Run(CancellationToken cancellation = default)
    {
        var isComplete = TakeSteps(cancellation);
        return new TokenizerRunResult(Step, isComplete, Checkpoints.Latest, _seconds, Skipped.Total, _validation);
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        _batches?.Dispose(); // null, as the others, when the constructor failed early
        _judge?.Dispose();
        _trainer?.Dispose();
        _discriminator?.Dispose();
        Tokenizer?.Dispose();
        base.Dispose();
    }

    private protected override string? TakeStep()
    {
        using var scope = NewDisposeScope();
        if (Step == _config.ContinuousSteps && Step > 0)
        {
            _upkeep.Start(i => ToTensor(_images.Batch((long)i * _config.BatchSize, _config.BatchSize)));
        }

        _pixels = _batches.Take(Step * _config.BatchSize, _config.BatchSize);
        var result = _trainer.Run(ToTensor(_pixels), Step, _config.LearningRateAt(Step), isContinuous: Step < _config.ContinuousSteps);
        if (result.IsTaken)
        {
            _window = _window.Plus(result);
            _window = _window with { Revived = _window.Revived + _upkeep.AfterStep(Step, result) };
        }

        _last = result with { Latents = null }; // they end with the scope
        var discriminator = result.DiscriminatorLoss is { } loss ? $"; discriminator {loss}, {result.DiscriminatorNorm}" : "";
        return result.IsTaken ? null : $"{result.Loss} (gradient norm {result.Norm}{discriminator})";
    }

    private protected override void AddSeconds(double seconds, SpeedWindow speed)
    {
        _seconds += seconds;
        speed.Add(_config.BatchSize, (long)_config.BatchSize * _config.Tokenizer.CodesPerImage, seconds, _batches.TakeSeconds());
    }

    private protected override string DumpBatch()
    {
        var folder = Path.Combine(_options.Output, $"nan-step-{Step:D8}");
        Directory.CreateDirectory(folder);
        var side = _config.Tokenizer.ImageSide;
        NpyFile.Write(Path.Combine(folder, "images.npy"), HostTensor.From<byte>(ElementType.UInt8, [_config.BatchSize, side, side, 3], _pixels));
        var paths = Enumerable.Range(0, _config.BatchSize).Select(i => _images.PathAt((Step * _config.BatchSize) + i));
        File.WriteAllLines(Path.Combine(folder, "images.txt"), paths);
        return folder;
    }

    private protected override bool Validate() => (_validation = _judge.Judge()) is not null;

    private protected override void Report(MetricsLog log, SpeedWindow speed)
    {
        var (last, used) = (_last!, _upkeep.SinceReport);
        var isQuantized = used.Total > 0;
        var progress = new TokenizerRunProgress
        {
            Step = Step, Steps = _config.Steps, Loss = _window.Loss / _window.Steps,
            Psnr = 10 * Math.Log10(4 / (_window.SquaredError / _window.Steps)), // images span 2
            CodebookUsage = isQuantized
                ? (double)used.UsedCount / _config.Tokenizer.CodebookSize
                : null, Perplexity = isQuantized
                ? used.Perplexity
                : null,
            Revived = _window.Revived, Perceptual = last.Perceptual is null ? null : _window.Perceptual / _window.Steps, Last = last,
            LearningRate = _config.LearningRateAt(Step - 1),
            Images = Step * _config.BatchSize, ImagesPerSecond = speed.ImagesPerSecond, DataWaitShare = speed.DataWaitShare,
            SecondsLeft = (_config.Steps - Step) * _config.BatchSize / speed.ImagesPerSecond, SkippedSteps = Skipped.Total, HeldOut = _validation,
        };
        Alarm(progress, used.Total);
        (_window, _validation) = (new TokenizerWindowSums(), null);
        used.Clear();
        TokenizerMetrics.Write(log, progress);
        _options.OnProgress?.Invoke(progress);
    }

    private protected override void ReportSkipped(MetricsLog log) => TokenizerMetrics.WriteSkipped(log, Step, Skipped.Total);

    private protected override void Save(int keep)
    {
        var state = new TokenizerRunState
        {
            Step = Step, Images = Step * _config.BatchSize, Seconds = _seconds, SkippedSteps = Skipped.Total, SkippedInARow = Skipped.InARow,
            DiscriminatorSteps = _trainer.DiscriminatorOptimizer?.StepCount ?? 0, Window = _window,
        };
        Checkpoints.Save(Step, folder => _checkpoint.Write(folder, _config, state), keep);
        TokenizerCheckpoint.Export(_options.Output, _judge.Weights());
    }

    private protected override void AfterStep(MetricsLog log, CancellationToken cancellation)
    {
        if (IsDue(_options.GridEvery) && Step < _config.Steps)
        {
            _judge.DrawGrid(Step, _options);
        }
    }

    private protected override void Conclude(MetricsLog log, bool isComplete, CancellationToken cancellation)
    {
        if (isComplete)
        {
            TokenizerCheckpoint.Export(_options.Output, _judge.Weights()); // a kill may have come between the last checkpoint and this
            _judge.DrawGrid(Step, _options);
            _validation = _judge.Judge();
            TokenizerMetrics.WriteResult(log, Step, _validation);
        }
    }

    private static nn.Module<Tensor, Tensor>? CreateDiscriminator(TokenizerRunConfig config)
    {
        manual_seed((long)(new CounterRandom(config.Seed, RandomStream.Initialization).Bits(0, 1) >> 1));
        using var scope = NewDisposeScope(); // TorchSharp's convolutions leave a tensor behind each when they are made
        nn.Module<Tensor, Tensor>? discriminator = config.Discriminator switch
        {
            DiscriminatorKind.PatchGan => new PatchDiscriminator(),
            DiscriminatorKind.StyleGan => new StyleGanDiscriminator(config.Tokenizer.ImageSide),
            _ => null,
        };
        foreach (var tensor in (discriminator?.parameters() ?? []).Concat(discriminator?.buffers() ?? []))
        {
            tensor.DetachFromDisposeScope();
        }

        return discriminator;
    }

    private Tensor ToTensor(byte[] pixels) => ImageTensors.FromPixels(
        pixels, _config.Tokenizer.ImageSide, Tokenizer.Device);

    private void Alarm(TokenizerRunProgress progress, long codes)
    {
        if (codes < (long)CodesPerEntry * _config.Tokenizer.CodebookSize || progress.CodebookUsage is not { } usage)
        {
            return;
        }

        var isLow = usage < _options.UsageAlarm;
        if (isLow && !_isAlarmed)
        {
            _options.OnNote?.Invoke(
                $"At step {Step} only {usage:P0} of the codebook is in use (perplexity {progress.Perplexity:F0} of "
                    + $"{_config.Tokenizer.CodebookSize}). "
                + "If it does not recover: look for dead codes more often, start the codebook from latents, "
                + "raise the weight of the entropy, or take a smaller codebook.");
        }

        _isAlarmed = isLow;
    }
}
