using System.Text.Json.Nodes;
using NextPatch.Core.Configuration;
using NextPatch.Core.Tensors;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Tokenizer;
using static TorchSharp.torch;

namespace NextPatch.Goldens.Cases;

/// <summary>
/// A published tokenizer, full size or small: latents, codes, reconstructions, and where they were recorded losses and gradients of a training pass.
/// </summary>
internal static class TokenizerCase
{
    private const string GradientPrefix = "grad.";

    // A code whose distance to the second best is within rounding may be another.
    public const double SmallestGap = 1e-4;

    public static void Run(CaseRun run)
    {
        using var scope = NewDisposeScope();
        using var tokenizer = Load(run.Golden);
        var arrays = run.Golden.Arrays();
        var prefix = arrays.ContainsKey("eval.latent") ? "eval." : "";
        CheckEvaluation(run, tokenizer, arrays, prefix);
        if (arrays.ContainsKey("train.losses"))
        {
            CheckTraining(run, tokenizer, arrays);
        }
    }

    /// <summary>The tokenizer of a case with its recorded or computed weights.</summary>
    /// <param name="golden">The case.</param>
    /// <param name="entropyWeight">Instead of the recorded one.</param>
    public static VqTokenizer Load(GoldenCase golden, double? entropyWeight = null)
    {
        var config = Configuration(golden.Config);
        var tokenizer = new VqTokenizer(config with { EntropyWeight = entropyWeight ?? config.EntropyWeight }, seed: 0);
        var file = golden.Files.FirstOrDefault(f => f.EndsWith(".pt", StringComparison.Ordinal));
        var state = (file is not null ? golden.Weights(file) : FormulaWeights.Make(golden.Json(golden.FileEnding(".weights.json")))).ToDictionary();
        state.TryAdd("quantize.codebook_used", StateLoader.ToHost(tokenizer.get_buffer("quantize.codebook_used")!));
        StateLoader.Load(tokenizer, state, golden.Name);
        return tokenizer;
    }

    private static TokenizerConfig Configuration(JsonObject config)
    {
        if (config["model"] is { } preset)
        {
            return TokenizerPresets.Get((string)preset!) with
            {
                CodebookSize = (int)config["codebook_size"]!,
                CodeWidth = (int)config["codebook_embed_dim"]!,
            };
        }

        var (network, args) = (config["Encoder_Decoder"]!, config["ModelArgs"]!);
        int[] multipliers = [.. network["ch_mult"]!.AsArray().Select(m => (int)m!)];
        var baseChannels = (int)network["ch"]!;
        return new TokenizerConfig
        {
            Architecture = TokenizerArchitecture.Vqgan,
            ImageSide = 256,
            DownsamplingFactor = 1 << (multipliers.Length - 1),
            Channels = [.. multipliers.Select(m => m * baseChannels)],
            BaseChannels = multipliers[0] == 1 ? null : baseChannels,
            BlockCounts = [.. multipliers.Select(_ => (int)network["num_res_blocks"]!)],
            LatentChannels = (int)network["z_channels"]!,
            CodebookSize = (int)args["codebook_size"]!,
            CodeWidth = (int)args["codebook_embed_dim"]!,
            NormalizeCodes = (bool)args["codebook_l2_norm"]!,
            CommitmentWeight = (double)args["commit_loss_beta"]!,
            EntropyWeight = (double)args["entropy_loss_ratio"]!,
        };
    }

    private static void CheckEvaluation(CaseRun run, VqTokenizer tokenizer, IReadOnlyDictionary<string, HostTensor> arrays, string prefix)
    {
        using var noGradient = no_grad();
        tokenizer.eval();
        var latents = tokenizer.Latents(StateLoader.ToTensor(arrays["x"]));
        run.Close("latent", latents, arrays[prefix + "latent"], run.Golden.Tolerance("eval.latent", "latent"));
        var codes = tokenizer.Quantize(latents);
        var golden = StateLoader.ToTensor(arrays[prefix + "indices"]);
        CheckCodes(run, codes.flatten(), golden, arrays[prefix + "index_gap"].ToDoubles());

        // From here on the recorded codes, so that one near-tie does not spoil the rest.
        var (rows, columns) = (latents.size(2), latents.size(3));
        var vectors = tokenizer.Lookup(golden.view(latents.size(0), -1), rows, columns);
        run.Close("quant", vectors, arrays[prefix + "quant"], run.Golden.Tolerance("eval.latent", "latent"));
        var tolerance = run.Golden.Tolerance("eval.decode_code", "decode_code");
        run.Close("decode_code", tokenizer.Render(vectors), arrays[prefix + "decode_code"], tolerance);
        if (arrays.TryGetValue("eval.codebook_entry_channel_last", out var entries))
        {
            run.Close("codebook entries", vectors.permute(0, 2, 3, 1), entries, tolerance);
        }

        if (arrays.TryGetValue("rand_codes", out var random))
        {
            var side = GoldenCase.SideOf(random.Shape[1]);
            run.Close("rand_decode", tokenizer.Render(tokenizer.Lookup(StateLoader.ToTensor(random), side, side)), arrays["rand_decode"], tolerance);
        }
    }

    /// <summary>Equal wherever the choice was clear.</summary>
    public static void CheckCodes(CaseRun run, Tensor codes, Tensor golden, double[] gaps)
    {
        var (own, expected) = (codes.data<long>().ToArray(), golden.data<long>().ToArray());
        run.SameList("codes", own.Where((_, i) => gaps[i] > SmallestGap), expected.Where((_, i) => gaps[i] > SmallestGap));
    }

    private static void CheckTraining(CaseRun run, VqTokenizer tokenizer, IReadOnlyDictionary<string, HostTensor> arrays)
    {
        tokenizer.train();
        var images = StateLoader.ToTensor(arrays["x"]);
        var output = tokenizer.forward(images);
        var squared = nn.functional.mse_loss(output.Images, images);
        var total = squared + output.QuantizationLoss();
        run.Close("train.recon", output.Images, arrays["train.recon"], run.Golden.Tolerance("eval.decode_code"));
        run.Close("train.losses", stack([output.CodebookLoss, output.CommitmentLoss, output.EntropyLoss, total]), arrays["train.losses"],
            run.Golden.Tolerance("train.losses"));
        CheckRecord(run, tokenizer, arrays["train.used_tail"], "train.used_tail", afterSecond: images);
        total.backward();
        var gradients = tokenizer.named_parameters().ToDictionary(p => p.name, p => p.parameter.grad);
        foreach (var (name, expected) in arrays.Where(p => p.Key.StartsWith(GradientPrefix, StringComparison.Ordinal)))
        {
            run.Close(name, gradients[name[GradientPrefix.Length..]]!, expected, run.Golden.Tolerance("grads"));
        }

        foreach (var (name, norm) in run.Golden.Entry["grad_norms"] as JsonObject ?? [])
        {
            run.Close($"norm of {name}", gradients[name]!.norm().item<float>(), (double)norm!, run.Golden.Tolerance("grad_norms"));
        }
    }

    /// <summary>The record of chosen codes; it was read after a second pass on mirrored images.</summary>
    private static void CheckRecord(CaseRun run, VqTokenizer tokenizer, HostTensor tail, string name, Tensor afterSecond)
    {
        using var noGradient = no_grad();
        var first = tokenizer.RecentCodebookUsage;
        _ = tokenizer.forward(afterSecond.flip(0, 3));
        var record = tokenizer.get_buffer("quantize.codebook_used")!;
        run.Close(name, record.narrow(0, record.numel() - tail.Count, tail.Count), tail, Tolerance.Exact);
        if (run.Golden.Arrays().TryGetValue("train.used_after2", out var longer))
        {
            run.Close("train.used_after2", record.narrow(0, record.numel() - longer.Count, longer.Count), longer, Tolerance.Exact);
        }

        if (run.Golden.Entry["codebook_usage"] is JsonArray usage)
        {
            run.Close("codebook_usage after one pass", first, (double)usage[0]!, new Tolerance(1e-6, 0));
            run.Close("codebook_usage after two", tokenizer.RecentCodebookUsage, (double)usage[1]!, new Tolerance(1e-6, 0));
        }
    }
}
