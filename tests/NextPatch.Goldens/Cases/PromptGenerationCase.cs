using NextPatch.Core.Generation;
using NextPatch.Core.Sampling;
using NextPatch.Core.Tensors;
using NextPatch.Cpu.Generation;
using NextPatch.Cpu.Gpt;
using NextPatch.Torch.Generation;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Loading;
using static TorchSharp.torch;

namespace NextPatch.Goldens.Cases;

/// <summary>
/// Greedy generation from captions: codes of both engines, of the managed one also with every row of the prompt kept, and its logits of every step
/// before and after guidance.
/// </summary>
internal static class PromptGenerationCase
{
    public static void Run(CaseRun run)
    {
        var golden = run.Golden;
        var (config, weights) = (golden.Gpt(), golden.Weights(golden.FileEnding(".pt")));
        using var model = new GptModel(config);
        StateLoader.Load(model, weights, golden.FileEnding(".pt"));
        using var torch = new TorchGenerationEngine(model, ownsModel: false);
        var state = weights.ToDictionary(p => p.Key, p => StoredTensor.From(p.Value));
        using var cpu = CpuGenerationEngine.Open(state, config, golden.Name, WeightStorage.Float32, threads: 1);
        using var plain = new CpuGenerationEngine(
            GptDecoders.Create(config, state, WeightStorage.Float32, maxRows: 6, threads: 1, isPlain: true), WeightStorage.Float32);
        foreach (var item in golden.Entry["runs"]!.AsArray())
        {
            using var scope = NewDisposeScope();
            var (tag, arrays) = ((string)item!["tag"]!, golden.Arrays((string)item["file"]!));
            var (tokens, prompts) = (arrays["tokens"], Prompts(arrays));
            var request = new GenerationRequest
            {
                Labels = new int[prompts.Length], Prompts = prompts,
                Sampling = new SamplingConfig { Greedy = true, GuidanceScale = (double)item["cfg_scale"]! },
            };
            foreach (var (name, engine) in new (string, IGenerationEngine)[] { ("torch", torch), ("managed", cpu), ("managed, plain", plain) })
            {
                run.Close(
                    $"{tag} tokens ({name})", [.. engine.Generate(request).Select(code => (double)code)], tokens.ToDoubles(), tokens.Shape,
                    golden.Tolerance("tokens"));
            }

            CheckLogits(run, tag, state, arrays, request);
        }
    }

    /// <summary>The tokens of each caption, which stand in the last rows; all rows where there is no mask.</summary>
    private static PromptFeatures[] Prompts(IReadOnlyDictionary<string, HostTensor> arrays)
    {
        var condition = arrays["cond"];
        var (rows, width, values) = ((int)condition.Shape[1], (int)condition.Shape[2], condition.ToSingles());
        var masks = arrays.TryGetValue("emb_masks", out var given) ? given.ToInt64() : null;
        return [.. Enumerable.Range(0, (int)condition.Shape[0]).Select(image =>
        {
            var own = masks?.AsSpan(image * rows, rows).ToArray();
            var count = own is null ? rows : own.Count(isToken => isToken != 0);
            if (own is not null && own.Skip(rows - count).Any(isToken => isToken == 0))
            {
                throw new InvalidOperationException("the tokens of a recorded caption do not stand in its last rows");
            }

            return new PromptFeatures("", values.AsSpan((((image + 1) * rows) - count) * width, count * width), width);
        })];
    }

    /// <summary>Steps through the recorded codes, so that one wrong code does not hide the logits after it.</summary>
    private static void CheckLogits(
        CaseRun run, string tag, Dictionary<string, StoredTensor> state, IReadOnlyDictionary<string, HostTensor> arrays, GenerationRequest request)
    {
        var (tokens, config, images) = (arrays["tokens"].ToInt64(), run.Golden.Gpt(), request.Prompts!.Count);
        var (steps, rows) = (tokens.Length / images, request.Sampling.IsGuided ? 2 * images : images);
        using var decoder = GptDecoders.Create(config, state, WeightStorage.Float32, rows, threads: 1);
        var prompts = Enumerable.Range(0, rows).Select(
            row => row < images ? decoder.Encode(request.Prompts[row]) : decoder.Unconditional(request.Prompts[row - images].TokenCount)).ToArray();
        var slots = prompts.Select(prompt =>
        {
            var slot = decoder.TakeSlot();
            decoder.Prefill(slot, prompt);
            return slot;
        }).ToArray();
        var (raw, mixed, mixedMax) = (new List<double>(), new List<double>(), new List<double>());
        for (var step = 0; step < steps; step++)
        {
            decoder.Run([.. slots.Select((slot, row) => step == 0
                ? new DecodeRow(slot, 0, prompts[row].Count - 1, prompts[row])
                : new DecodeRow(slot, step, (int)tokens[((row % images) * steps) + step - 1]))]);
            raw.AddRange(Enumerable.Range(0, rows).SelectMany(row => decoder.Logits(row).ToArray()).Select(z => (double)z));
            for (var image = 0; image < images; image++)
            {
                var own = decoder.Logits(image);
                if (request.Sampling.IsGuided)
                {
                    LogitsProcessor.Guide(own, decoder.Logits(images + image), request.Sampling.ScaleAt(step, steps));
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
