using NextPatch.Core;
using NextPatch.Torch.Perception;
using NextPatch.Torch.Tokenizer;
using NextPatch.Training.Optimization;
using static TorchSharp.torch;

namespace NextPatch.Training.Tokenizer;

/// <summary>Trains a VQGAN tokenizer and its discriminator batch by batch, in the order of the published loop.</summary>
/// <remarks>
/// Tokenizer: forward, backward, clip, Adam, average; then the discriminator on the same images and the same reconstructions. The
/// discriminator takes part from the first step, with weight 0, so that its batch statistics are those of the published code.
/// </remarks>
public sealed class VqganStep
{
    private const string LastLayer = "decoder.conv_out.weight";

    private readonly VqTokenizer _tokenizer;
    private readonly VqganTrainingConfig _config;
    private readonly nn.Module<Tensor, Tensor> _discriminator;
    private readonly VqganObjective _objective;
    private readonly Tensor _lastLayer;

    /// <param name="tokenizer">Of architecture VQGAN, on the CPU.</param>
    /// <param name="discriminator">Trained along.</param>
    /// <param name="perception">Null: no perceptual loss.</param>
    /// <param name="config">Settings.</param>
    public VqganStep(VqTokenizer tokenizer, nn.Module<Tensor, Tensor> discriminator, Lpips? perception, VqganTrainingConfig config)
    {
        (_tokenizer, _discriminator, _config) = (tokenizer, discriminator, config);
        _objective = new VqganObjective(config, discriminator, perception);
        _lastLayer = tokenizer.get_parameter(LastLayer) ?? throw new NextPatchException($"The tokenizer has no {LastLayer}; only VQGAN tokenizers are trained with a discriminator.");
        Optimizer = new AdamW(tokenizer.named_parameters(), config.Optimizer(hasAverage: true));
        DiscriminatorOptimizer = new AdamW(discriminator.named_parameters(), config.Optimizer(hasAverage: false));
    }

    public AdamW Optimizer { get; }

    public AdamW DiscriminatorOptimizer { get; }

    /// <param name="images">float [B, 3, H, W] in [-1, 1].</param>
    /// <exception cref="NextPatchException">A loss or gradient is not finite; nothing was changed by it.</exception>
    public VqganStepResult Run(Tensor images)
    {
        using var scope = NewDisposeScope();
        _tokenizer.train();
        _discriminator.train();
        var step = Optimizer.StepCount + 1;
        var output = _tokenizer.forward(images);
        var terms = _objective.Generator(images, output.Images, output.QuantizationLoss(), _lastLayer, step);
        terms.Total.backward();
        var norm = Norm(Optimizer, terms.Total, "tokenizer", step);
        Optimizer.Step(_config.LearningRate, norm);

        // What the generator's pass left there belongs to the tokenizer.
        _discriminator.zero_grad();
        var loss = _objective.Discriminator(images, output.Images, step);
        loss.backward();
        var discriminatorNorm = Norm(DiscriminatorOptimizer, loss, "discriminator", step);
        DiscriminatorOptimizer.Step(_config.LearningRate, discriminatorNorm);
        return new VqganStepResult(
            terms.Total.item<float>(), loss.item<float>(), norm, discriminatorNorm,
            output.CodebookLoss.item<float>(), output.CommitmentLoss.item<float>(), output.EntropyLoss.item<float>(), output.Codes.data<long>().ToArray());
    }

    private static double Norm(AdamW optimizer, Tensor loss, string network, long step)
    {
        var (value, norm) = (loss.item<float>(), optimizer.GradientNorm());
        return float.IsFinite(value) && double.IsFinite(norm)
            ? norm
            : throw new NextPatchException($"The loss of the {network} is {value} and its gradient norm {norm} at step {step}; train with a lower learning rate.");
    }
}
