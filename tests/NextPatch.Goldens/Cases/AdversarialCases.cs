using NextPatch.Core.Checkpoints.PyTorch;
using NextPatch.Core.Tensors;
using NextPatch.Torch.Adversarial;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Perception;
using NextPatch.Torch.Tokenizer;
using static TorchSharp.torch;

namespace NextPatch.Goldens.Cases;

/// <summary>Losses and networks around the tokenizer's training.</summary>
internal static class AdversarialCases
{
    private const string GradientPrefix = "grad.";
    private const string BufferPrefix = "buf_after.";

    public static void RunLosses(CaseRun run)
    {
        var arrays = run.Golden.Arrays();
        var (real, fake) = (StateLoader.ToTensor(arrays["logits_real"]), StateLoader.ToTensor(arrays["logits_fake"]));
        var tolerance = run.Golden.Tolerance("default");
        foreach (var (name, loss) in new Dictionary<string, Tensor>
        {
            ["hinge_d"] = AdversarialLosses.Discriminator(real, fake, DiscriminatorLoss.Hinge),
            ["vanilla_d"] = AdversarialLosses.Discriminator(real, fake, DiscriminatorLoss.Vanilla),
            ["nonsat_d"] = AdversarialLosses.Discriminator(real, fake, DiscriminatorLoss.NonSaturatingPublished),
            ["hinge_g"] = AdversarialLosses.Generator(fake, GeneratorLoss.Hinge),
            ["nonsat_g"] = AdversarialLosses.Generator(fake, GeneratorLoss.NonSaturatingPublished),
            ["entropy_loss"] = VectorQuantizer.EntropyLoss(StateLoader.ToTensor(arrays["affinity"]) * 0.05),
        })
        {
            run.Close(name, loss.reshape(1), arrays[name], tolerance);
        }
    }

    public static void RunPatchDiscriminator(CaseRun run)
    {
        var arrays = run.Golden.Arrays();
        using var network = LoadPatchDiscriminator(run.Golden, (int)run.Golden.Config["ndf"]!, (int)run.Golden.Config["n_layers"]!);
        var images = StateLoader.ToTensor(arrays["x"]).requires_grad_(true);
        network.eval();
        run.Close("y_eval", network.forward(images), arrays["y_eval"], run.Golden.Tolerance("y_train"));
        network.train();
        var verdicts = network.forward(images);
        run.Close("y_train", verdicts, arrays["y_train"], run.Golden.Tolerance("y_train"));
        verdicts.square().mean().backward();
        run.Close("grad_x", images.grad!, arrays["grad_x"], run.Golden.Tolerance("grads"));
        var state = StateLoader.StateOf(network).ToDictionary();
        foreach (var (name, golden) in arrays)
        {
            if (name.StartsWith(GradientPrefix, StringComparison.Ordinal))
            {
                run.Close(name, state[name[GradientPrefix.Length..]].grad!, golden, run.Golden.Tolerance("grads"));
            }
            else if (name.StartsWith(BufferPrefix, StringComparison.Ordinal))
            {
                run.Close(name, state[name[BufferPrefix.Length..]], golden, run.Golden.Tolerance("y_train"));
            }
        }
    }

    public static void RunStyleGanDiscriminator(CaseRun run)
    {
        var arrays = run.Golden.Arrays();
        using var network = new StyleGanDiscriminator((int)run.Golden.Config["image_size"]!);
        StateLoader.Load(network, FormulaWeights.Make(run.Golden.Json(run.Golden.FileEnding(".weights.json"))), run.Golden.Name);
        var images = StateLoader.ToTensor(arrays["x"]).requires_grad_(true);
        var verdicts = network.forward(images);
        run.Close("y", verdicts, arrays["y"], run.Golden.Tolerance("y"));
        verdicts.sum().backward();

        // Among millions of activations some lie so near zero that rounding decides the slope of the leaky ReLU: float64 differs from
        // the recording in one element of eight. Those may be off by a few hundredths of the largest gradient.
        var golden = arrays["grad_x"].ToDoubles();
        run.Close(
            "grad_x", StateLoader.ToHost(images.grad!).ToDoubles(), golden, arrays["grad_x"].Shape, run.Golden.Tolerance("grad_x"),
            outliers: 0.2, outlierLimit: 0.05 * golden.Max(Math.Abs));
    }

    public static void RunLpips(CaseRun run)
    {
        var arrays = run.Golden.Arrays();
        using var lpips = LoadLpips(run.Golden);
        var (input, target) = (StateLoader.ToTensor(arrays["input"]), StateLoader.ToTensor(arrays["target"]).requires_grad_(true));
        var value = lpips.Distance(input, target);
        run.Close("value", value, arrays["value"], run.Golden.Tolerance("value"));
        run.Close("same", lpips.Distance(input, input), arrays["same"], run.Golden.Tolerance("value"));
        value.mean().backward();
        run.Close("grad_target", target.grad!, arrays["grad_target"], run.Golden.Tolerance("grad_target"));
        var features = lpips.Features(input);
        for (var i = 0; i < features.Length; i++)
        {
            run.Close($"feat{i}_c0", features[i].select(0, 0).select(0, 0), arrays[$"feat{i}_c0"], run.Golden.Tolerance("feats"));
            run.Close($"feat_mean[{i}]", features[i].mean().item<float>(), arrays["feat_mean"].ToDoubles()[i], run.Golden.Tolerance("feats"));
            run.Close($"feat_std[{i}]", features[i].std().item<float>(), arrays["feat_std"].ToDoubles()[i], run.Golden.Tolerance("feats"));
        }
    }

    public static PatchDiscriminator LoadPatchDiscriminator(GoldenCase golden, int width, int depth)
    {
        var network = new PatchDiscriminator(width, depth);
        var file = (string?)golden.Config["discriminator"] ?? golden.FileEnding(".pt");
        StateLoader.Load(network, PyTorchFile.ReadStateDict(golden.PathOf(file), "discriminator"), file);
        return network;
    }

    public static Lpips LoadLpips(GoldenCase golden)
    {
        var features = FormulaWeights.Make(golden.Json(golden.FileEnding(".weights.json"))).ToDictionary(p => p.Key, p => StoredTensor.From(p.Value));

        // A training case names the features only; the heads are those of the network's own case.
        var heads = golden.Files.FirstOrDefault(f => f.EndsWith(".pth", StringComparison.Ordinal)) ?? golden.About("::LPIPS").FileEnding(".pth");
        return new Lpips(
            features, PyTorchFile.ReadStateDict(golden.PathOf(heads)).ToDictionary(p => p.Key, p => StoredTensor.From(p.Value)), golden.Name);
    }
}
