using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using NextPatch.Core.Tensors;
using NextPatch.Torch.Adversarial;
using NextPatch.Torch.Loading;
using NextPatch.Training.Tokenizer;
using static TorchSharp.torch;

namespace NextPatch.Goldens.Cases;

/// <summary>The tokenizer's training loss term by term, and whole training steps.</summary>
internal static partial class VqganCases
{
    // No tolerance is recorded for these; the README of the goldens gives it.
    private static readonly Tolerance Loose = new(1e-6, 1e-2);

    public static void RunObjective(CaseRun run)
    {
        var arrays = run.Golden.Arrays();
        using var perception = AdversarialCases.LoadLpips(run.Golden);
        foreach (var item in run.Golden.Entry["items"]!.AsArray())
        {
            using var scope = NewDisposeScope();
            var (index, step) = ((int)item!["index"]!, (long)item["global_step"]!);
            using var discriminator = AdversarialCases
                .LoadPatchDiscriminator(run.Golden, (int)run.Golden.Config["disc_dim"]!, (int)run.Golden.Config["disc_num_layers"]!);
            discriminator.train();
            var config = Configuration(item.AsObject());
            var objective = new VqganObjective(config, discriminator, perception);
            var images = StateLoader.ToTensor(arrays["x"]);
            var layer = StateLoader.ToTensor(arrays["W"]).requires_grad_(true);
            var reconstructions = nn.functional.conv2d(StateLoader.ToTensor(arrays["feat"]), layer, padding: [1, 1]).tanh();
            var quantization = run.Golden.Config["codebook_loss"]!.AsArray().Take(3).Sum(v => (double)v!);

            var terms = objective.Generator(images, reconstructions, tensor((float)quantization), layer, step);
            run.Close($"gen_loss.{index}", terms.Total.reshape(1), arrays[$"gen_loss.{index}"], run.Golden.Tolerance("losses"));
            if (item["adaptive_weight"] is { } adaptive)
            {
                run.Close($"adaptive_weight.{index}", terms.AdaptiveWeight!.item<float>(), (double)adaptive, run.Golden.Tolerance("adaptive_weight"));
            }

            terms.Total.backward();
            run.Close($"grad_W.{index}", layer.grad!, arrays[$"grad_W.{index}"], run.Golden.Tolerance("grad_W"));
            discriminator.zero_grad();
            var loss = objective.Discriminator(images, reconstructions, step)!;
            run.Close($"disc_loss {index}", loss.item<float>(), (double)item["disc_loss_value"]!, run.Golden.Tolerance("losses"));
            loss.backward();
            CheckDiscriminator(run, discriminator, index, item["disc_grad_norms"] as JsonObject ?? []);
        }
    }

    public static void RunTraining(CaseRun run)
    {
        var (golden, settings) = (run.Golden, run.Golden.Config);
        var arrays = golden.Arrays();
        using var tokenizer = TokenizerCase.Load(golden.Sibling((string)settings["vq"]!), (double)settings["entropy_loss_ratio"]!);
        using var discriminator = AdversarialCases.LoadPatchDiscriminator(
            golden, (int)arrays["disc.main.0.weight"].Shape[0], (int)golden.About("::NLayerDiscriminator").Config["n_layers"]!);
        using var perception = AdversarialCases.LoadLpips(golden);
        var rate = (double)settings["lr"]!;
        var step = new TokenizerStep(tokenizer, new VqganTrainingConfig
        {
            LearningRate = rate, Beta1 = (double)settings["betas"]![0]!, Beta2 = (double)settings["betas"]![1]!, ClipNorm = (double)settings["clip"]!,
            EmaDecay = (double)settings["ema_decay"]!, AdversarialWeight = (double)settings["disc_weight"]!,
            DiscriminatorStart = (long)settings["disc_start"]!,
        }, discriminator, perception);
        var (losses, log) = (golden.Tolerance("losses"), arrays["log__f64"].ToDoubles());
        string[] columns = [.. LogColumns().Match((string)golden.Entry["notes"]!).Groups[1].Value.Split(", ")];
        for (var i = 0; i < (int)settings["steps"]!; i++)
        {
            using var scope = NewDisposeScope();
            var result = step.Run(StateLoader.ToTensor(arrays["x"]).select(0, i), i, rate);
            var (at, expected) = ($"step {i + 1}", columns.Zip(log.Skip(i * columns.Length)).ToDictionary());
            run.Close($"{at} loss_gen", result.Loss, expected["loss_gen"], losses);
            run.Close($"{at} loss_disc", result.DiscriminatorLoss!.Value, expected["loss_disc"], losses);
            run.Close($"{at} grad_norm", result.Norm, expected["grad_norm(vq)"], Loose);
            run.Close($"{at} disc grad_norm", result.DiscriminatorNorm!.Value, expected["grad_norm(disc)"], Loose);
            run.Close($"{at} vq_loss", result.CodebookLoss, expected["vq_loss"], losses);
            run.Close($"{at} commit_loss", result.CommitmentLoss, expected["commit_loss"], losses);
            run.Close($"{at} codebook_usage", tokenizer.RecentCodebookUsage, expected["codebook_usage"], Loose);
        }

        CheckWeights(run, arrays, "w.", StateLoader.Capture(tokenizer).ToDictionary());
        CheckWeights(run, arrays, "ema.", step.Optimizer.CaptureAverage().ToDictionary());
        CheckWeights(run, arrays, "disc.", StateLoader.Capture(discriminator).ToDictionary());
    }

    [GeneratedRegex(@"log columns: ([^.]+)\.")]
    private static partial Regex LogColumns();

    private static VqganTrainingConfig Configuration(JsonObject item) => new()
    {
        Reconstruction = (string?)item["reconstruction_loss"] == "l1" ? ReconstructionLoss.Absolute : ReconstructionLoss.Squared,
        ReconstructionWeight = (double?)item["reconstruction_weight"] ?? 1,
        PerceptualWeight = (double?)item["perceptual_weight"] ?? 1,
        AdversarialWeight = (double?)item["disc_weight"] ?? 1,
        DiscriminatorStart = (long)item["disc_start"]!,
        IsAdaptive = (bool)item["disc_adaptive_weight"]!,
        DiscriminatorLoss = (string?)item["disc_loss"] switch
        {
            "hinge" => DiscriminatorLoss.Hinge,
            "vanilla" => DiscriminatorLoss.Vanilla,
            _ => DiscriminatorLoss.NonSaturatingPublished,
        },
        GeneratorLoss = (string?)item["gen_adv_loss"] == "hinge" ? GeneratorLoss.Hinge : GeneratorLoss.NonSaturatingPublished,
    };

    private static void CheckDiscriminator(CaseRun run, PatchDiscriminator discriminator, int index, JsonObject norms)
    {
        var state = StateLoader.StateOf(discriminator).ToDictionary();
        foreach (var (name, golden) in run.Golden.Arrays())
        {
            if (name.StartsWith($"disc_grad.{index}.", StringComparison.Ordinal))
            {
                run.Close(name, state[name[$"disc_grad.{index}.".Length..]].grad!, golden, run.Golden.Tolerance("disc_grad"));
            }
            else if (name.StartsWith($"disc_buf.{index}.", StringComparison.Ordinal))
            {
                run.Close(name, state[name[$"disc_buf.{index}.".Length..]], golden, new Tolerance(1e-6, 1e-2));
            }
        }

        foreach (var (name, norm) in norms)
        {
            run.Close($"disc_grad_norms {name}", state[name].grad!.norm().item<float>(), (double)norm!, Loose);
        }
    }

    private static void CheckWeights(
        CaseRun run, IReadOnlyDictionary<string, HostTensor> arrays, string prefix, IReadOnlyDictionary<string, HostTensor> weights)
    {
        // Adam makes whole steps of gradients that are pure rounding noise.
        var limit = 2 * (double)run.Golden.Config["lr"]! * (int)run.Golden.Config["steps"]!;
        foreach (var (name, golden) in arrays.Where(p => p.Key.StartsWith(prefix, StringComparison.Ordinal)))
        {
            var isBuffer = name.Contains("running", StringComparison.Ordinal) || name.Contains("tracked", StringComparison.Ordinal);
            run.Close(name, weights[name[prefix.Length..]].ToDoubles(), golden.ToDoubles(), golden.Shape,
                isBuffer ? Loose : run.Golden.Tolerance("weights"), isBuffer ? 0 : 0.005, limit);
        }
    }
}
