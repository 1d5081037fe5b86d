using System.Diagnostics;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Configuration;
using NextPatch.Core.Sampling;
using NextPatch.Core.Tensors;
using NextPatch.Torch.Adversarial;
using NextPatch.Torch.Perception;
using NextPatch.Torch.Tokenizer;
using NextPatch.Training.Runs;
using static TorchSharp.torch;

namespace NextPatch.Training.Tokenizer;

/// <summary>
/// Trains a tokenizer on images in a folder. Data order, crops, learning rate, codebook start, revivals and perturbation are pure
/// functions of the step, so a resumed run ends with the same bytes as one that was never interrupted.
/// </summary>
public sealed class TokenizerRun : IDisposable
{
    // Fewer codes than this per code of the codebook say nothing about its use.
    private const int CodesPerEntry = 8;

    private readonly TokenizerRunConfig _config;
    private readonly TokenizerImages _images;
    private readonly TokenizerRunOptions _options;
    private readonly nn.Module<Tensor, Tensor>? _discriminator;
    private readonly TokenizerStep _trainer;
    private readonly DeadCodeRevival _upkeep;
    private readonly TokenizerCheckpoint _checkpoint;
    private readonly ImageReader _reader;
    private readonly SkippedSteps _skipped;
    private readonly RunLock _lock;
    private readonly TokenizerValidator _judge;
    private TokenizerWindowSums _window = new();
    private double _seconds;
    private long _step;
    private bool _isAlarmed;

    /// <param name="config">Settings.</param>
    /// <param name="images">Stay the caller's.</param>
    /// <param name="options">Folder, intervals, callbacks.</param>
    /// <param name="perception">Null: no perceptual loss. Stays the caller's.</param>
    /// <param name="initialWeights">Fills the tokenizer at the start of a fresh run; null = drawn from the seed.</param>
    /// <exception cref="ConfigException">Settings cannot work, or differ from those of the run to resume.</exception>
    /// <exception cref="NextPatchException">The folder cannot be written, another run holds it, or none of its checkpoints is whole.</exception>
    public TokenizerRun(TokenizerRunConfig config, TokenizerImages images, TokenizerRunOptions options, IPerceptualLoss? perception = null, Action<VqTokenizer>? initialWeights = null)
    {
        _config = config.Validated();
        if (perception?.SmallestSide > _config.Tokenizer.ImageSide)
        {
            throw new ConfigException($"The network of the perceptual loss takes images of at least {perception.SmallestSide}x{perception.SmallestSide} pixels, but they have {_config.Tokenizer.ImageSide}x{_config.Tokenizer.ImageSide}. Use larger images (--image-size), or leave --perceptual out.");
        }

        (_images, _options) = (images, options);
        _skipped = new SkippedSteps(options.StopAfterSkips, options.OnNote);
        Checkpoints = new CheckpointFolder(options.Output);
        options.RequireWritable();
        _lock = RunLock.Take(options.Output);
        try
        {
            var start = ResumePoint.Find(Checkpoints, options, folder => RunComparison.RequireSame(TokenizerCheckpoint.ReadConfig(folder), _config, TokenizerRunJson.Default.TokenizerRunConfig, folder));
            Tokenizer = new VqTokenizer(_config.Tokenizer, _config.Seed) { ComputeType = _config.Precision == ComputePrecision.Bf16 ? ScalarType.BFloat16 : null };
            _discriminator = CreateDiscriminator(_config);
            if (start is null)
            {
                initialWeights?.Invoke(Tokenizer);
            }

            _trainer = new TokenizerStep(Tokenizer, _config.Objective, _discriminator, perception, _config.Perturbation is { } p ? new LatentPerturbation(p, _config.Seed) : null);
            _upkeep = new DeadCodeRevival(Tokenizer, _trainer, _config);
            _checkpoint = new TokenizerCheckpoint(Tokenizer, _discriminator, _trainer, _upkeep);
            _reader = new ImageReader(images, _config.BatchSize);
            _judge = new TokenizerValidator(Tokenizer, _trainer.Optimizer, images);
            if (start is not null)
            {
                Continue(start);
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

    public CheckpointFolder Checkpoints { get; }

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
        using var log = new MetricsLog(_options.Output, _step, _options.OnNote);
        var saver = new CheckpointSaver(_options, Checkpoints, Save, _step);
        var speed = new SpeedWindow();
        while (_step < _config.Steps && !cancellation.IsCancellationRequested)
        {
            var started = Stopwatch.GetTimestamp();
            using var scope = NewDisposeScope();
            var result = TrainStep();
            var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
            _seconds += seconds;
            speed.Add(_config.BatchSize, (long)_config.BatchSize * _config.Tokenizer.CodesPerImage, seconds, _reader.TakeSeconds());
            _step++;
            if (result.IsTaken)
            {
                Report(log, speed, result);
            }
            else
            {
                TokenizerMetrics.WriteSkipped(log, _step, _skipped.Total);
            }

            saver.AfterStep(_step, !result.IsTaken);
            if (IsDue(_options.GridEvery) && _step < _config.Steps)
            {
                _judge.DrawGrid(_step, _options);
            }
        }

        saver.AtEnd(_step, _skipped.InARow > 0, cancellation);
        var isComplete = _step >= _config.Steps;
        if (isComplete)
        {
            TokenizerCheckpoint.Export(_options.Output, _judge.Weights()); // a kill may have come between the last checkpoint and this
            _judge.DrawGrid(_step, _options);
        }

        return new TokenizerRunResult(_step, isComplete, Checkpoints.Latest, _seconds, _skipped.Total, isComplete ? _judge.Judge() : null);
    }

    public void Dispose()
    {
        _reader?.Dispose(); // null, as the others, when the constructor failed early
        _judge?.Dispose();
        _discriminator?.Dispose();
        Tokenizer?.Dispose();
        _lock.Dispose();
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

    private void Continue(string checkpoint)
    {
        var state = _checkpoint.Load(checkpoint);
        (_step, _seconds, _window) = (state.Step, state.Seconds, state.Window);
        _skipped.Restore(state.SkippedSteps, state.SkippedInARow);
        _options.OnNote?.Invoke($"Resumed from {checkpoint} at step {_step} of {_config.Steps}.");
    }

    private bool IsDue(long every) => every > 0 && _step % every == 0;

    private TokenizerStepResult TrainStep()
    {
        var isContinuous = _step < _config.ContinuousSteps;
        if (_step == _config.ContinuousSteps && _step > 0)
        {
            _upkeep.Start(i => ToTensor(_images.Batch((long)i * _config.BatchSize, _config.BatchSize)));
        }

        var pixels = _reader.Take(_step);
        var result = _trainer.Run(ToTensor(pixels), _step, _config.LearningRateAt(_step), isContinuous);
        if (result.IsTaken)
        {
            _skipped.StepTaken();
            _window = _window.Plus(result);
            _window = _window with { Revived = _window.Revived + _upkeep.AfterStep(_step, result) };
        }
        else
        {
            _skipped.Skip(
                $"The loss of step {_step} is {result.Loss} (gradient norm {result.Norm}{(result.DiscriminatorLoss is { } d ? $"; discriminator {d}, {result.DiscriminatorNorm}" : "")})",
                () => Dump(pixels),
                () => $"The last checkpoint from before is {Checkpoints.Latest ?? "none (the run had not reached its first)"}. Lower the learning rate ({_config.Objective.LearningRate}) or raise the warm-up, and continue from a checkpoint with --init-from.");
        }

        return result;
    }

    private Tensor ToTensor(byte[] pixels) => ImageTensors.FromPixels(pixels, _config.Tokenizer.ImageSide);

    /// <summary>Judges and writes a line of metrics when they are due.</summary>
    private void Report(MetricsLog log, SpeedWindow speed, TokenizerStepResult last)
    {
        var isLast = _step == _config.Steps;
        var heldOut = IsDue(_options.ValidateEvery) && !isLast ? _judge.Judge() : null;
        if (_step != 1 && _step % _options.LogEvery != 0 && !isLast && heldOut is null)
        {
            return;
        }

        var used = _upkeep.SinceReport;
        var isQuantized = used.Total > 0;
        var progress = new TokenizerRunProgress
        {
            Step = _step, Steps = _config.Steps, Loss = _window.Loss / _window.Steps, Psnr = 10 * Math.Log10(4 / (_window.SquaredError / _window.Steps)), // images span 2
            CodebookUsage = isQuantized ? (double)used.UsedCount / _config.Tokenizer.CodebookSize : null, Perplexity = isQuantized ? used.Perplexity : null,
            Revived = _window.Revived, Perceptual = last.Perceptual is null ? null : _window.Perceptual / _window.Steps, Last = last, LearningRate = _config.LearningRateAt(_step - 1),
            Images = _step * _config.BatchSize, ImagesPerSecond = speed.ImagesPerSecond, DataWaitShare = speed.DataWaitShare,
            SecondsLeft = (_config.Steps - _step) * _config.BatchSize / speed.ImagesPerSecond, SkippedSteps = _skipped.Total, HeldOut = heldOut,
        };
        Alarm(progress, used.Total);
        _window = new TokenizerWindowSums();
        used.Clear();
        speed.Reset();
        TokenizerMetrics.Write(log, progress);
        _options.OnProgress?.Invoke(progress);
    }

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
                $"At step {_step} only {usage:P0} of the codebook is in use (perplexity {progress.Perplexity:F0} of {_config.Tokenizer.CodebookSize}). If it does not recover: look for dead codes more often (--revive-every), start the codebook from latents (--continuous-steps), raise --entropy-weight, or take a smaller --codebook-size.");
        }

        _isAlarmed = isLow;
    }

    private void Save(int keep)
    {
        var state = new TokenizerRunState
        {
            Step = _step, Images = _step * _config.BatchSize, Seconds = _seconds, SkippedSteps = _skipped.Total, SkippedInARow = _skipped.InARow,
            DiscriminatorSteps = _trainer.DiscriminatorOptimizer?.StepCount ?? 0, Window = _window,
        };
        Checkpoints.Save(_step, folder => _checkpoint.Write(folder, _config, state), keep);
        TokenizerCheckpoint.Export(_options.Output, _judge.Weights());
    }

    /// <summary>The batch of a step that was not finite, for whoever wants to look.</summary>
    private string Dump(byte[] pixels)
    {
        var folder = Path.Combine(_options.Output, $"nan-step-{_step:D8}");
        Directory.CreateDirectory(folder);
        var side = _config.Tokenizer.ImageSide;
        NpyFile.Write(Path.Combine(folder, "images.npy"), HostTensor.From<byte>(ElementType.UInt8, [_config.BatchSize, side, side, 3], pixels));
        File.WriteAllLines(Path.Combine(folder, "images.txt"), Enumerable.Range(0, _config.BatchSize).Select(i => _images.PathAt((_step * _config.BatchSize) + i)));
        return folder;
    }
}
