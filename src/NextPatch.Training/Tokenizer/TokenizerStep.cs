using NextPatch.Torch.Perception;
using NextPatch.Torch.Tokenizer;
using NextPatch.Training.Optimization;
using static TorchSharp.torch;
using Parameter = TorchSharp.Modules.Parameter;

namespace NextPatch.Training.Tokenizer;

/// <summary>Trains a tokenizer, and a discriminator where there is one, batch by batch, in the order of the published loop.</summary>
/// <remarks>
/// Tokenizer: forward, backward, clip, Adam, average; then the discriminator on the same images and the same reconstructions. Both
/// gradients are formed before either network moves, which gives the same numbers and lets a step that is not finite change neither.
/// </remarks>
internal sealed class TokenizerStep : IDisposable
{
    private readonly VqTokenizer _tokenizer;
    private readonly nn.Module<Tensor, Tensor>? _discriminator;
    private readonly VqganObjective _objective;
    private readonly LatentPerturbation? _perturbation;

    /// <param name="tokenizer">With the discriminator on one device; stays the caller's. Discriminator and perceptual network compute in its
    /// <see cref="VqTokenizer.ComputeType"/>, too.</param>
    /// <param name="config">Losses and optimiser.</param>
    /// <param name="discriminator">Trained along; null: none. Stays the caller's.</param>
    /// <param name="perception">Null: no perceptual loss. Stays the caller's.</param>
    /// <param name="perturbation">Null: the decoder sees the codes as they are.</param>
    /// <param name="frozen">Parts that are not trained; null: none.</param>
    /// <param name="isFlat">Whether updates are made by <see cref="FlatAdamW"/>, which other devices than the processor need.</param>
    public TokenizerStep(
        VqTokenizer tokenizer, VqganTrainingConfig config, nn.Module<Tensor, Tensor>? discriminator = null, IPerceptualLoss? perception = null,
        LatentPerturbation? perturbation = null, IReadOnlyList<TokenizerPart>? frozen = null, bool isFlat = false)
    {
        (_tokenizer, _discriminator, _perturbation) = (tokenizer, discriminator, perturbation);
        _objective = new VqganObjective(config, discriminator, perception, tokenizer.ComputeType);
        var trained = tokenizer.named_parameters().ToLookup(p => frozen?.Contains(TokenizerParts.From(p.name)) != true);
        foreach (var (_, parameter) in trained[false])
        {
            parameter.requires_grad_(false);
        }

        IOptimizer Create(IEnumerable<(string, Parameter)> parameters, bool hasAverage)
            => isFlat ? new FlatAdamW(parameters, config.Optimizer(hasAverage)) : new AdamW(parameters, config.Optimizer(hasAverage));
        Optimizer = Create(trained[true], hasAverage: true);
        DiscriminatorOptimizer = discriminator is null ? null : Create(discriminator.named_parameters(), hasAverage: false);
    }

    public IOptimizer Optimizer { get; }

    /// <summary>Null without a discriminator.</summary>
    public IOptimizer? DiscriminatorOptimizer { get; }

    /// <summary>Runs one step; changes nothing where <see cref="TokenizerStepResult.IsTaken"/> is false afterwards.</summary>
    /// <param name="images">float [B, 3, H, W] in [-1, 1].</param>
    /// <param name="step">Counted from 0.</param>
    /// <param name="learningRate">Of both networks.</param>
    /// <param name="isContinuous">Nothing is quantised: the decoder sees the latents.</param>
    public TokenizerStepResult Run(Tensor images, long step, double learningRate, bool isContinuous = false)
    {
        using var scope = NewDisposeScope();
        _tokenizer.train();
        _discriminator?.train();
        var output = isContinuous ? default(TokenizerOutput?) : _tokenizer.Reconstruct(images, _perturbation, step);
        var reconstructions = output?.Images ?? _tokenizer.ReconstructContinuously(images);
        var terms = _objective.Generator(images, reconstructions, output?.QuantizationLoss() ?? zeros(1).squeeze(), _tokenizer.LastLayer, step + 1);
        terms.Total.backward();
        var norm = Optimizer.GradientNorm();

        // What the generator's pass left there belongs to the tokenizer.
        DiscriminatorOptimizer?.DropGradients();
        var discriminatorLoss = _objective.Discriminator(images, reconstructions, step + 1);
        discriminatorLoss?.backward();
        var result = new TokenizerStepResult
        {
            Loss = terms.Total.item<float>(),
            Norm = norm,
            SquaredError = terms.SquaredError.item<float>(),
            Perceptual = terms.Perceptual?.item<float>(),
            Adversarial = terms.Adversarial?.item<float>(),
            AdaptiveWeight = terms.AdaptiveWeight?.item<float>(),
            DiscriminatorLoss = discriminatorLoss?.item<float>(),
            DiscriminatorNorm = discriminatorLoss is null ? null : DiscriminatorOptimizer!.GradientNorm(),
            CodebookLoss = output?.CodebookLoss.item<float>() ?? 0,
            CommitmentLoss = output?.CommitmentLoss.item<float>() ?? 0,
            EntropyLoss = output?.EntropyLoss.item<float>() ?? 0,
            Codes = output?.Codes.cpu().data<long>().ToArray() ?? [],
            Latents = output?.Latents.detach().MoveToOuterDisposeScope(),
        };
        Move(result, learningRate);
        return result;
    }

    public void Dispose()
    {
        (Optimizer as IDisposable)?.Dispose();
        (DiscriminatorOptimizer as IDisposable)?.Dispose();
    }

    private void Move(TokenizerStepResult result, double learningRate)
    {
        if (!result.IsTaken)
        {
            Optimizer.DropGradients();
            DiscriminatorOptimizer?.DropGradients();
            return;
        }

        Optimizer.Step(learningRate, result.Norm);
        if (result.DiscriminatorNorm is { } norm)
        {
            DiscriminatorOptimizer!.Step(learningRate, norm);
        }
    }
}
