using NextPatch.Core.Files;
using NextPatch.Core.Imaging;
using NextPatch.Torch.Devices;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Tokenizer;
using NextPatch.Training.Optimization;

namespace NextPatch.Training.Tokenizer;

// Shape letters used in this file: N judged images, n images of a grid, S pixels per side.

/// <summary>The weights that a run is judged by and leaves in its folder, and what they make of held-out images.</summary>
internal sealed class TokenizerValidator : IDisposable
{
    private const int GridImages = 16;

    private readonly VqTokenizer _trained;
    private readonly IOptimizer _optimizer;
    private readonly TokenizerImages _images;
    private readonly VqTokenizer? _average;
    private byte[]? _judged;

    /// <param name="trained">The weights that are trained; stay the caller's.</param>
    /// <param name="optimizer">Holds their average, or none.</param>
    /// <param name="images">Stay the caller's.</param>
    public TokenizerValidator(VqTokenizer trained, IOptimizer optimizer, TokenizerImages images)
    {
        (_trained, _optimizer, _images) = (trained, optimizer, images);
        _average = optimizer.HasAverage ? new VqTokenizer(trained.Config, seed: 0) : null;
        if (_average is not null)
        {
            TorchDevices.Move(_average, trained.Device);
        }
    }

    /// <summary>uint8 [N, S, S, 3], read once.</summary>
    private byte[] Images => _judged ??= _images.ReadJudged();

    /// <summary>The average where there is one, else what is trained.</summary>
    public VqTokenizer Weights()
    {
        if (_average is null)
        {
            return _trained;
        }

        var state = StateLoader.Capture(_trained).ToDictionary();
        foreach (var (name, value) in _optimizer.CaptureAverage())
        {
            state[name] = value;
        }

        StateLoader.Load(_average, state, "the EMA weights");
        return _average;
    }

    /// <returns>Null without held-out images.</returns>
    public TokenizerValidation? Judge()
    {
        if (Images.Length == 0)
        {
            return null;
        }

        var tokenizer = Weights();
        var codes = tokenizer.EncodePixels(Images);
        var reconstructions = tokenizer.DecodePixels(codes);
        var usage = new CodeUsage(tokenizer.Config.CodebookSize);
        usage.Add(Array.ConvertAll(codes, c => (long)c));
        return new TokenizerValidation(
            PeakSignalToNoise.Compute(Images, reconstructions), (double)usage.UsedCount / tokenizer.Config.CodebookSize, usage.Perplexity);
    }

    /// <summary>
    /// Hands some held-out images and their reconstructions to <see cref="TokenizerRunOptions.OnGrid"/>; a full disk is told and not fatal.
    /// </summary>
    public void DrawGrid(long step, TokenizerRunOptions options)
    {
        var size = _trained.Config.ImageSide * _trained.Config.ImageSide * 3;
        if (options.OnGrid is null || Images.Length == 0)
        {
            return;
        }

        // Spread over the classes.
        var available = Images.Length / size;
        var count = Math.Min(GridImages, available);
        var originals = Enumerable.Range(0, count).SelectMany(i => Images.AsSpan(i * available / count * size, size).ToArray()).ToArray();
        var tokenizer = Weights();
        var reconstructions = tokenizer.DecodePixels(tokenizer.EncodePixels(originals));
        try
        {
            options.OnGrid(step, originals, reconstructions);
        }
        catch (Exception e) when (DiskTrouble.Is(e))
        {
            options.OnNote?.Invoke($"The grid of step {step} could not be written: {e.Message}");
        }
    }

    public void Dispose() => _average?.Dispose();
}

/// <summary>How well held-out images come back.</summary>
/// <param name="Psnr">Peak signal to noise ratio over all their pixels, dB.</param>
/// <param name="CodebookUsage">Share of the codebook that they use.</param>
/// <param name="Perplexity">exp(entropy) of their codes.</param>
public sealed record TokenizerValidation(double Psnr, double CodebookUsage, double Perplexity);
