using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;
using NextPatch.Core.Sampling;
using NextPatch.Torch.Gpt;

namespace NextPatch.Cli.Benchmarking;

/// <summary>A micro-batch of random codes: the time of a step does not depend on what they are.</summary>
/// <param name="Codes">Codes in row-major order, [B, T].</param>
/// <param name="Labels">Classes, [B].</param>
/// <param name="Geometry">The division into patches.</param>
internal sealed record BenchBatch(long[] Codes, long[] Labels, PatchGeometry Geometry)
{
    public int Images => Labels.Length;

    /// <summary>Instead of classes.</summary>
    public CaptionBatch? Captions { get; init; }

    public static BenchBatch Create(GptConfig model, int patchSide, int images)
    {
        var random = new CounterRandom(1, RandomStream.Drawing);
        var codes = new long[images * model.CodesPerImage];
        for (var i = 0; i < codes.Length; i++)
        {
            codes[i] = random.Below(model.VocabularySize, i, 0);
        }

        return new BenchBatch(
            codes, [.. Enumerable.Range(0, images).Select(i => (long)random.Below(model.ClassCount, i, 1))],
            new PatchGeometry(model.GridSide, patchSide));
    }
}
