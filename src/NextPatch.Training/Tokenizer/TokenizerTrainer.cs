using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Sampling;
using NextPatch.Torch.Tokenizer;
using static TorchSharp.torch;

namespace NextPatch.Training.Tokenizer;

// Shape letters used in this file: N images in storage, B batch, S pixels per side, W code width, K codes.

/// <summary>
/// Trains a <see cref="VqTokenizer"/> on small images. Some steps without quantisation first, then the codebook starts at the
/// k-means centres of the latents, and codes that no latent chooses are moved onto latents of the latest batch.
/// </summary>
/// <remarks>Everything random is a function of (seed, step), so two runs on one machine end with equal weights.</remarks>
public sealed class TokenizerTrainer
{
    private const int ClusteringBatches = 16;

    // Items of the random stream at and above these belong to clustering and revival; below are the steps' batches.
    private const long ClusteringItems = 1L << 40;
    private const long RevivalItems = 1L << 41;

    private readonly VqTokenizer _tokenizer;
    private readonly ReadOnlyMemory<byte> _pixels;
    private readonly int _imageCount;
    private readonly TokenizerTrainingConfig _config;
    private readonly CounterRandom _random;
    private readonly CodeUsage _sinceRevival;
    private readonly CodeUsage _sinceReport;
    private double _lossSum;
    private double _squaredErrorSum;
    private int _revived;

    private TokenizerTrainer(VqTokenizer tokenizer, ReadOnlyMemory<byte> pixels, TokenizerTrainingConfig config)
    {
        config.Validate();
        (_tokenizer, _pixels, _config) = (tokenizer, pixels, config);
        _imageCount = ImageTensors.CountImages(pixels.Length, tokenizer.Config.ImageSide);
        if (_imageCount == 0)
        {
            throw new ConfigException("Tokenizer training has no images; give it at least one.");
        }

        _random = new CounterRandom(config.Seed, RandomStream.Tokenizer);
        _sinceRevival = new CodeUsage(tokenizer.Config.CodebookSize);
        _sinceReport = new CodeUsage(tokenizer.Config.CodebookSize);
    }

    /// <summary>Trains in place.</summary>
    /// <param name="tokenizer">Weights to train; left in their last state when this throws.</param>
    /// <param name="pixels">uint8 [N, S, S, 3], S as the tokenizer's configuration says.</param>
    /// <param name="config">Settings; validated here.</param>
    /// <param name="progress">Told every <see cref="TokenizerTrainingConfig.ReportInterval"/> steps and at the end.</param>
    /// <param name="cancellation">Checked before every step.</param>
    /// <exception cref="ConfigException">Settings that cannot work, or no image.</exception>
    /// <exception cref="NextPatchException">The loss is not a finite number.</exception>
    public static void Train(
        VqTokenizer tokenizer,
        ReadOnlyMemory<byte> pixels,
        TokenizerTrainingConfig config,
        IProgress<TokenizerProgress>? progress = null,
        CancellationToken cancellation = default)
        => new TokenizerTrainer(tokenizer, pixels, config).Run(progress, cancellation);

    private void Run(IProgress<TokenizerProgress>? progress, CancellationToken cancellation)
    {
        using var optimizer = optim.Adam(_tokenizer.parameters(), _config.LearningRate, 0.9, 0.99);
        var lastReport = 0;
        for (var step = 0; step < _config.Steps; step++)
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            if (step == _config.ContinuousSteps)
            {
                StartCodebook();
            }

            foreach (var group in optimizer.ParamGroups)
            {
                group.LearningRate = _config.LearningRateAt(step);
            }

            var latents = Step(step, optimizer);
            if (latents is not null && (step + 1) % _config.RevivalInterval == 0)
            {
                Revive(step, latents);
            }

            if ((step + 1) % _config.ReportInterval == 0 || step + 1 == _config.Steps)
            {
                progress?.Report(Summarize(step + 1, step + 1 - lastReport));
                lastReport = step + 1;
            }
        }
    }

    /// <returns>The batch's latents [B, W, g, g], or null while nothing is quantised.</returns>
    private Tensor? Step(int step, optim.Optimizer optimizer)
    {
        var images = Batch(step); // [B, 3, S, S]
        var output = step < _config.ContinuousSteps ? default(TokenizerOutput?) : _tokenizer.forward(images);
        var difference = (output?.Images ?? _tokenizer.ReconstructContinuously(images)) - images;
        var squaredError = difference.square().mean();
        var loss = difference.abs().mean() + squaredError;
        if (output is { } quantized)
        {
            loss += quantized.QuantizationLoss();
        }

        var value = loss.item<float>();
        if (!float.IsFinite(value))
        {
            throw new NextPatchException(
                $"The tokenizer's loss became {value} at step {step + 1} of {_config.Steps}; expected a finite number. Train with a lower learning rate (now {_config.LearningRate}).");
        }

        optimizer.zero_grad();
        loss.backward();
        optimizer.step();

        _lossSum += value;
        _squaredErrorSum += squaredError.item<float>();
        if (output is { } done)
        {
            var codes = done.Codes.data<long>().ToArray();
            _sinceRevival.Add(codes);
            _sinceReport.Add(codes);
        }

        return output?.Latents;
    }

    private Tensor Batch(long item)
    {
        var indices = new int[_config.BatchSize];
        for (var i = 0; i < indices.Length; i++)
        {
            indices[i] = _random.Below(_imageCount, item, i);
        }

        return ImageTensors.Gather(_pixels.Span, _tokenizer.Config.ImageSide, indices);
    }

    private void StartCodebook()
    {
        using var scope = NewDisposeScope();
        var rows = cat([.. Enumerable.Range(0, ClusteringBatches).Select(b => _tokenizer.UnitLatents(Batch(ClusteringItems + b)))]);
        var centres = CodebookStart.Cluster(rows, _tokenizer.Config.CodebookSize, _random, ClusteringItems + ClusteringBatches);
        _tokenizer.ReplaceCodes([.. Enumerable.Range(0, _tokenizer.Config.CodebookSize).Select(k => (long)k)], centres);
    }

    // Runs after the optimiser step: weights that change between forward and backward break autograd.
    private void Revive(int step, Tensor latents)
    {
        var dead = _sinceRevival.FindDead();
        _sinceRevival.Clear();
        if (dead.Length == 0 || step >= _config.DecayStart)
        {
            return;
        }

        using var scope = NewDisposeScope();
        var rows = latents.detach().permute(0, 2, 3, 1).reshape(-1, _tokenizer.Config.CodeWidth); // [B * T, W]
        var picks = new long[dead.Length];
        for (var i = 0; i < picks.Length; i++)
        {
            picks[i] = _random.Below((int)rows.size(0), RevivalItems + step, i);
        }

        _tokenizer.ReplaceCodes(dead, rows.index_select(0, tensor(picks)));
        _revived += dead.Length;
    }

    private TokenizerProgress Summarize(int step, int steps)
    {
        // Images span 2, so the peak's square is 4.
        var psnr = 10 * Math.Log10(4 / (_squaredErrorSum / steps));
        var report = new TokenizerProgress(step, _config.Steps, _lossSum / steps, psnr, _sinceReport.UsedCount, _sinceReport.Perplexity, _revived);
        (_lossSum, _squaredErrorSum, _revived) = (0, 0, 0);
        _sinceReport.Clear();
        return report;
    }
}
