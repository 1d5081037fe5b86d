using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Core.Tensors;
using NextPatch.Cpu.Gpt;

namespace NextPatch.Cli.Benchmarking.Decoding;

/// <summary>
/// Times drawing from prompts of the published shape (120 rows of 2048 features, 512 x 512 pixels, weights by formula): a guided code and the prompt
/// before it, beside the same with every row of the prompt in the cache. Both take turns in every round.
/// </summary>
internal sealed class PromptBench(DecodeBenchPlan plan, int tokens, Action<string> note)
{
    private const int GridSide = 32;

    private readonly GptConfig _config = GptPresets.Get(plan.Preset) with
    {
        GridSide = GridSide,
        ClassCount = 1,
        Text = new TextCondition { FeatureWidth = 2048, TokenCount = 120 },
    };

    public IReadOnlyList<BenchFigure> Run(CancellationToken cancellation)
    {
        var state = FormulaWeights.Create(_config, ElementType.Float32).ToDictionary(p => p.Key, p => p.Value);
        var figures = new List<BenchFigure>();
        foreach (var (storage, name) in plan.Storages)
        {
            foreach (var images in plan.Images)
            {
                using var bandwidth = new ReadBandwidth(Environment.ProcessorCount);
                using var decoder = GptDecoders.Create(_config, state, storage, 2 * images, Environment.ProcessorCount);
                using var plain = GptDecoders.Create(_config, state, storage, 2 * images, Environment.ProcessorCount, isPlain: true);
                using var steps = new ManagedSteps(decoder, images, Prompt);
                using var plainSteps = new ManagedSteps(plain, images, Prompt);
                for (var round = 0; round < plan.Rounds; round++)
                {
                    cancellation.ThrowIfCancellationRequested();
                    bandwidth.Measure();
                    steps.Measure(plan.Codes);
                    plainSteps.Measure(plan.Codes);
                }

                var floor = DecodeBench.BytesPerPass(_config, storage) / bandwidth.BytesPerSecond;
                Add(figures, $"prompt.{name}.{images}.code", steps.Code, plainSteps.Code, floor / steps.Code);
                Add(figures, $"prompt.{name}.{images}.prefill", steps.Prefill, plainSteps.Prefill, null);
                note($"{name}, {images} images, {tokens} tokens: {steps.Code * 1e3:0.0} ms per code, {plainSteps.Code * 1e3:0.0} with every row of "
                    + $"the prompt; {steps.Prefill * 1e3:0} ms before the first; {bandwidth.BytesPerSecond / 1e9:0.0} GB/s read.");
            }
        }

        return figures;
    }

    /// <summary>A prompt by formula.</summary>
    private PromptFeatures Prompt(int seed) => new(
        "", [.. Enumerable.Range(0, tokens * _config.Text!.FeatureWidth).Select(i => (float)Math.Sin((i * 0.37) + seed))],
        _config.Text.FeatureWidth);

    private static void Add(List<BenchFigure> figures, string name, double seconds, double baseline, double? floorShare)
        => figures.Add(new BenchFigure(name, seconds, "s", baseline, seconds / baseline, floorShare));
}
