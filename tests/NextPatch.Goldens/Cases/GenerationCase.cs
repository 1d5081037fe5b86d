using System.Text.Json.Nodes;
using NextPatch.Core.Generation;
using NextPatch.Core.Sampling;
using NextPatch.Core.Tensors;
using NextPatch.Torch.Generation;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Loading;
using static TorchSharp.torch;

namespace NextPatch.Goldens.Cases;

/// <summary>Greedy class-conditional generation: codes of the engine, and logits of every step before and after guidance.</summary>
internal static class GenerationCase
{
    public static void Run(CaseRun run)
    {
        var golden = run.Golden;
        using var model = new GptModel(golden.Gpt());
        StateLoader.Load(model, golden.Weights(golden.FileEnding(".pt")), golden.FileEnding(".pt"));
        using var engine = new TorchGenerationEngine(model, ownsModel: false);
        foreach (var item in golden.Entry["runs"]!.AsArray())
        {
            using var scope = NewDisposeScope();
            var (tag, arrays, sampling) = ((string)item!["tag"]!, golden.Arrays((string)item["file"]!), Sampling(item));
            CheckCodes(run, tag, engine, arrays, sampling);
            CheckLogits(run, tag, model, arrays, sampling);
        }
    }

    private static SamplingConfig Sampling(JsonNode item) => new()
    {
        Greedy = true,
        GuidanceScale = (double)item["cfg_scale"]!,
        GuidanceInterval = (int?)item["cfg_interval"] ?? -1,
        Temperature = (double?)item["temperature"] ?? 1,
        TopK = (int?)item["top_k"] ?? 0,
        TopP = (double?)item["top_p"] ?? 1,
    };

    /// <summary>The engine always draws whole images; a shorter recording is the beginning of one.</summary>
    private static void CheckCodes(
        CaseRun run, string tag, TorchGenerationEngine engine, IReadOnlyDictionary<string, HostTensor> arrays, SamplingConfig sampling)
    {
        var tokens = arrays["tokens"];
        var (length, perImage) = ((int)tokens.Shape[1], engine.Config.CodesPerImage);
        var labels = arrays["cond"].ToInt64().Select(label => (int)label).ToArray();
        var codes = engine.Generate(new GenerationRequest { Labels = labels, Sampling = sampling });
        var beginnings = Enumerable.Range(0, labels.Length).SelectMany(image => codes.AsSpan(image * perImage, length).ToArray())
            .Select(code => (double)code);
        run.Close($"{tag} tokens", [.. beginnings], tokens.ToDoubles(), tokens.Shape, run.Golden.Tolerance("tokens"));
    }

    /// <summary>Steps through the recorded codes, so that one wrong code does not hide the logits after it.</summary>
    private static void CheckLogits(CaseRun run, string tag, GptModel model, IReadOnlyDictionary<string, HostTensor> arrays, SamplingConfig sampling)
    {
        var (tokens, labels, config) = (arrays["tokens"], arrays["cond"].ToInt64(), model.Config);
        var (images, steps, vocabulary) = (labels.Length, (int)tokens.Shape[1], config.VocabularySize);
        var codes = tokens.ToInt64();
        var (raw, mixed, mixedMax) = (new List<double>(), new List<double>(), new List<double>());
        using var noGrad = no_grad();
        using var cache = new KvCache(config, sampling.IsGuided ? 2 * images : images, config.SequenceLength, model.Head);
        for (var step = 0; step < steps; step++)
        {
            using var scope = NewDisposeScope();
            var input = step == 0 ? labels : [.. Enumerable.Range(0, images).Select(image => codes[(image * steps) + step - 1])];
            var other = step == 0 ? Enumerable.Repeat((long)config.ClassCount, images) : input;
            var rows = tensor(sampling.IsGuided ? [.. input, .. other] : input);
            var logits = (step == 0 ? model.Prefill(rows, cache) : model.DecodeStep(rows, cache)).data<float>().ToArray();
            raw.AddRange(logits.Select(z => (double)z));
            for (var image = 0; image < images; image++)
            {
                var own = logits.AsSpan(image * vocabulary, vocabulary);
                if (sampling.IsGuided)
                {
                    LogitsProcessor.Guide(own, logits.AsSpan((images + image) * vocabulary, vocabulary), sampling.ScaleAt(step, steps));
                }

                mixed.AddRange(own.ToArray().Select(z => (double)z));
                mixedMax.Add(own[LogitsProcessor.IndexOfMax(own)]);
            }
        }

        foreach (var (name, actual) in new[] { ("step_logits_raw", raw), ("step_logits_mixed", mixed), ("step_logits_mixed_max", mixedMax) })
        {
            if (arrays.TryGetValue(name, out var expected))
            {
                run.Close($"{tag} {name}", [.. actual], expected.ToDoubles(), expected.Shape, run.Golden.Tolerance("step_logits"));
            }
        }
    }
}
