using System.Runtime.Intrinsics.X86;
using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Patches;
using NextPatch.Core.Sampling;
using NextPatch.Core.Tensors;
using NextPatch.Cpu.Generation;
using NextPatch.Cpu.Gpt;
using NextPatch.Cpu.Tests.Kernels;
using NextPatch.Kernels.Simd;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Patches;
using static TorchSharp.torch;

namespace NextPatch.Cpu.Tests.Gpt;

[NoTensorLeaks]
public sealed class GptDecoderTests
{
    private const double DecidedGap = 1e-4;

    /// <summary>The pass over whole sequences, without a cache, is the judge.</summary>
    [Theory]
    [InlineData("even", WeightStorage.Float32, 2e-5)]
    [InlineData("odd", WeightStorage.Float32, 2e-5)]
    [InlineData("even", WeightStorage.BFloat16, 0.03)]
    [InlineData("odd", WeightStorage.BFloat16, 0.03)]
    [InlineData("even", WeightStorage.Int8, 0.06)]
    [InlineData("odd", WeightStorage.Int8, 0.06)]
    public void Logits_of_every_position_are_those_of_the_full_pass(string name, WeightStorage storage, double tolerance)
    {
        var (config, labels) = (SmallGpt.Named(name), (int[])[0, 2, 3]); // 3 is the null class
        var codes = Codes(config, labels.Length);
        using var model = SmallGpt.Create(config);
        var expected = FullPass(model, labels, codes);
        using var decoder = GptDecoders.Create(config, SmallGpt.StateOf(model), storage, labels.Length, threads: 2);
        var actual = Forced(decoder, labels, codes);
        Widths.AssertClose(expected, actual, tolerance);
        if (storage == WeightStorage.Float32)
        {
            AssertSameGreedyCodes(expected, actual, config.VocabularySize);
        }
    }

    [Theory]
    [InlineData(WeightStorage.Float32)]
    [InlineData(WeightStorage.BFloat16)]
    [InlineData(WeightStorage.Int8)]
    public void Bits_depend_neither_on_the_width_of_vectors_nor_on_threads(WeightStorage storage)
    {
        var config = SmallGpt.Odd;
        var (state, labels, codes) = (SmallGpt.State(config), (int[])[1, 3], Codes(config, 2));
        float[] Run<L>(int threads)
            where L : unmanaged, ISimd<L>
        {
            using var decoder = GptDecoders.Create<L>(config, state, storage, labels.Length, threads);
            return Forced(decoder, labels, codes);
        }

        var plain = Run<Simd1>(1);
        // A last bit more or less may round to the neighbour of sixteen bits, 3e-5 away, in every layer.
        var roundedTwice = storage == WeightStorage.Int8 ? 1e-3 : 1e-5;
        Widths.AssertSame(plain, Run<Simd1>(3), roundedTwice);
        Widths.AssertSame(plain, Run<Simd4>(2), roundedTwice);
        Widths.AssertSame(plain, Run<Simd8>(4), roundedTwice);
        if (Avx512F.IsSupported)
        {
            Widths.AssertSame(plain, Run<Simd16>(2), roundedTwice);
        }
    }

    /// <summary>Weights saved in bfloat16 are exact in it; what is left is the rounding of keys, values and embeddings.</summary>
    [Fact]
    public void Weights_that_were_saved_in_bf16_give_the_same_whether_they_are_widened_before_or_meanwhile()
    {
        var config = SmallGpt.Even;
        var (labels, codes) = ((int[])[1], Codes(config, 1));
        var state = SmallGpt.State(config).ToDictionary(p => p.Key, p => p.Value.As(ElementType.BFloat16));
        using var wide = GptDecoders.Create(config, state, WeightStorage.Float32, 1, 2);
        using var narrow = GptDecoders.Create(config, state, WeightStorage.BFloat16, 1, 2);
        Widths.AssertClose(Forced(wide, labels, codes), Forced(narrow, labels, codes), 5e-3);
    }

    [Fact]
    public void Two_kinds_of_weights_are_as_far_apart_as_their_softmaxes()
    {
        var config = SmallGpt.Odd;
        var (labels, codes) = ((int[])[1, 0, 3], Codes(config, 3)); // more images than rows
        using var first = GptDecoders.Create(config, SmallGpt.State(config), WeightStorage.Float32, 2, 2);
        using var second = GptDecoders.Create(config, SmallGpt.State(config, seed: 5), WeightStorage.Float32, 2, 2);
        using var a = GptDecoders.Create(config, SmallGpt.State(config), WeightStorage.Float32, 3, 1);
        using var b = GptDecoders.Create(config, SmallGpt.State(config, seed: 5), WeightStorage.Float32, 3, 1);
        var (rows, others) = (
            Forced(a, labels, codes).Chunk(config.VocabularySize).ToArray(), Forced(b, labels, codes).Chunk(config.VocabularySize).ToArray());
        var divergence = rows.Zip(others).Average(pair =>
        {
            var (p, q) = (Softmax(pair.First), Softmax(pair.Second));
            return p.Zip(q).Sum(x => x.First * Math.Log(x.First / x.Second));
        });

        var measured = LogitComparison.Run(first, second, labels, codes, TestContext.Current.CancellationToken);

        Assert.InRange(divergence, 0.1, 100);
        Assert.Equal(divergence, measured.Divergence, divergence * 1e-5);
        Assert.Equal(rows.Length, measured.Codes);
        Assert.Equal(
            rows.Zip(others).Average(pair => pair.First.IndexOf(pair.First.Max()) == pair.Second.IndexOf(pair.Second.Max()) ? 1.0 : 0),
            measured.EqualGreedy, 1e-12);

        static double[] Softmax(float[] logits)
        {
            var exponentials = Array.ConvertAll(logits, l => Math.Exp(l - logits.Max()));
            return Array.ConvertAll(exponentials, e => e / exponentials.Sum());
        }
    }

    [Fact]
    public void Weights_that_do_not_fit_are_named()
    {
        var state = SmallGpt.State(SmallGpt.Odd);
        state.Remove("norm.weight");
        state["extra"] = state["output.weight"];
        var error = Assert.Throws<NextPatchException>(
            () => CpuGenerationEngine.Open(state, SmallGpt.Odd with { VocabularySize = 78 }, "here", WeightStorage.Float32, 1));
        Assert.Contains("1 missing: norm.weight.", error.Message, StringComparison.Ordinal);
        Assert.Contains("1 unexpected: extra.", error.Message, StringComparison.Ordinal);
        Assert.Contains("'output.weight' is [77, 60] but the model expects [78, 60]", error.Message, StringComparison.Ordinal);
        Assert.Contains("in here", error.Message, StringComparison.Ordinal);
    }

    private static int[] Codes(GptConfig config, int images)
        => [.. Enumerable.Range(0, images * config.CodesPerImage).Select(
            i => (int)(new CounterRandom(5, RandomStream.Codes).Bits(i, 0) % (ulong)config.VocabularySize))];

    /// <summary>Logits [images, T, V] of given codes, step by step through the cache.</summary>
    private static float[] Forced(IGptDecoder decoder, int[] labels, int[] codes)
    {
        var (length, vocabulary) = (decoder.Config.CodesPerImage, decoder.Config.VocabularySize);
        var slots = labels.Select(_ => decoder.TakeSlot()).ToArray();
        var logits = new float[labels.Length * length * vocabulary];
        for (var position = 0; position < length; position++)
        {
            decoder.Run([.. labels.Select(
                (label, i) => new DecodeRow(slots[i], position, position == 0 ? label : codes[(i * length) + position - 1]))]);
            for (var i = 0; i < labels.Length; i++)
            {
                decoder.Logits(i).CopyTo(logits.AsSpan(((i * length) + position) * vocabulary));
            }
        }

        return logits;
    }

    private static float[] FullPass(GptModel model, int[] labels, int[] codes)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var length = model.Config.CodesPerImage;
        var classes = tensor(labels.Select(l => (long)l).ToArray());
        var grid = tensor(codes.Select(c => (long)c).ToArray(), [labels.Length, length]);
        var logits = model.AllLogits(classes, grid, new MeanPatchGrouping(new PatchGeometry(model.Config.GridSide, 1))); // [images, T + 1, V]
        return logits.narrow(1, 0, length).contiguous().data<float>().ToArray();
    }

    private static void AssertSameGreedyCodes(float[] expected, float[] actual, int vocabulary)
    {
        var (decided, greedy) = (0, new LogitsProcessor(new SamplingConfig { Greedy = true }, vocabulary));
        for (var at = 0; at < expected.Length; at += vocabulary)
        {
            var largest = expected.AsSpan(at, vocabulary).ToArray().OrderDescending().Take(2).ToArray();
            if (largest[0] - largest[1] > DecidedGap)
            {
                Assert.Equal(greedy.Draw(expected.AsSpan(at, vocabulary), 0), greedy.Draw(actual.AsSpan(at, vocabulary), 0));
                decided++;
            }
        }

        Assert.InRange(decided, expected.Length / vocabulary * 0.9, expected.Length / vocabulary);
    }
}
