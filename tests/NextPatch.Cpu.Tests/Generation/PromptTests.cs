using NextPatch.Core;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Core.Sampling;
using NextPatch.Cpu.Generation;
using NextPatch.Cpu.Gpt;
using NextPatch.Cpu.Tests.Gpt;
using NextPatch.Cpu.Tests.Kernels;
using NextPatch.Kernels.Simd;
using NextPatch.Torch.Generation;

namespace NextPatch.Cpu.Tests.Generation;

/// <summary>Drawing from captions. Rows of prompts in the engine are few at a time, so that long prompts take several passes.</summary>
[NoTensorLeaks]
public sealed class PromptTests
{
    private const int Width = 24;

    private static readonly TextCondition Text = new() { FeatureWidth = Width, TokenCount = 40 };

    /// <summary>From one token to as many as the model takes.</summary>
    private static readonly int[] Lengths = [1, 2, 7, 17, 39, 40, 3, 3];

    private static GptConfig Even => SmallGpt.Even with { Text = Text };

    private static GptConfig Odd => SmallGpt.Odd with { Text = Text };

    public static TheoryData<SamplingConfig> Rules =>
    [
        new SamplingConfig { GuidanceScale = 1 },
        new SamplingConfig { GuidanceScale = 2.5, TopK = 12 },
        new SamplingConfig { GuidanceScale = 7.5, GuidanceInterval = 7, Greedy = true },
    ];

    [Theory]
    [MemberData(nameof(Rules))]
    public void Codes_are_those_of_the_TorchSharp_engine(SamplingConfig rules)
    {
        foreach (var config in new[] { Even, Odd })
        {
            var request = Request(Lengths) with { FirstIndex = 3, Sampling = rules };
            using var model = SmallGpt.Create(config);
            using var torch = new TorchGenerationEngine(model, ownsModel: false);
            using var cpu = CpuGenerationEngine.Open(SmallGpt.StateOf(model), config, "test", WeightStorage.Float32, threads: 2);
            Assert.Equal(torch.Generate(request), cpu.Generate(request));
        }
    }

    /// <summary>More codes than any other model here has, as at 384 and 512 pixels.</summary>
    [Fact]
    public void Codes_of_a_large_grid_are_those_of_the_TorchSharp_engine()
    {
        var config = Odd with { GridSide = 24 };
        var request = Request([17]) with { Sampling = new SamplingConfig { GuidanceScale = 3 } };
        using var model = SmallGpt.Create(config);
        using var torch = new TorchGenerationEngine(model, ownsModel: false);
        using var cpu = CpuGenerationEngine.Open(SmallGpt.StateOf(model), config, "test", WeightStorage.Float32, threads: 2);
        Assert.Equal(torch.Generate(request), cpu.Generate(request));
    }

    /// <summary>One position with the mean of the values and ln N, against a position per token.</summary>
    [Theory]
    [InlineData(WeightStorage.Float32, 1e-5)]
    [InlineData(WeightStorage.BFloat16, 0.03)] // the mean is rounded once, where every value was
    [InlineData(WeightStorage.Int8, 0.06)]
    public void A_prompt_as_one_position_gives_the_logits_of_all_its_positions(WeightStorage storage, double tolerance)
    {
        foreach (var config in new[] { Even, Odd })
        {
            var state = SmallGpt.State(config);
            using var decoder = GptDecoders.Create(config, state, storage, maxRows: 8, threads: 2);
            using var plain = GptDecoders.Create(config, state, storage, maxRows: 8, threads: 2, isPlain: true);
            Widths.AssertClose(Logits(plain, Lengths), Logits(decoder, Lengths), tolerance);
        }
    }

    [Theory]
    [InlineData(WeightStorage.Float32)]
    [InlineData(WeightStorage.Int8)]
    public void Bits_depend_neither_on_the_width_of_vectors_nor_on_threads_nor_on_how_a_prompt_is_parted(WeightStorage storage)
    {
        var state = SmallGpt.State(Odd);
        float[] Run<L>(int rows, int threads)
            where L : unmanaged, ISimd<L>
        {
            using var decoder = GptDecoders.Create<L>(Odd, state, storage, rows, threads);
            return Logits(decoder, [17, 40]);
        }

        var one = Run<Simd1>(2, 1);
        var roundedTwice = storage == WeightStorage.Int8 ? 1e-3 : 1e-5;
        Widths.AssertSame(one, Run<Simd1>(5, 3), roundedTwice);
        Widths.AssertSame(one, Run<Simd4>(9, 2), roundedTwice);
        Widths.AssertSame(one, Run<Simd8>(64, 4), roundedTwice);
    }

    /// <summary>Prompts of other lengths beside it, drawn before or after, and what an earlier image of the prompt left.</summary>
    [Fact]
    public void An_image_is_the_same_whatever_is_drawn_with_it()
    {
        using var cpu = CpuGenerationEngine.Open(SmallGpt.State(Odd), Odd, "test", WeightStorage.Int8, threads: 2);
        var all = Request([.. Enumerable.Range(0, 40).Select(i => Lengths[i % Lengths.Length])]) with { Seed = 5 };
        var codes = cpu.Generate(all);
        foreach (var image in (int[])[33, 5, 12, 5])
        {
            var alone = cpu.Generate(all.Part(image, 1, Odd));
            Assert.Equal(codes[(image * Odd.CodesPerImage)..((image + 1) * Odd.CodesPerImage)], alone);
        }
    }

    [Fact]
    public void Prompts_that_the_model_cannot_take_are_refused_with_what_it_takes()
    {
        using var cpu = CpuGenerationEngine.Open(SmallGpt.State(Odd), Odd, "test", WeightStorage.Float32, threads: 1);
        void Refuse(GenerationRequest request, string words)
            => Assert.Contains(words, Assert.Throws<ConfigException>(() => cpu.Generate(request)).Message, StringComparison.Ordinal);

        Refuse(new GenerationRequest { Labels = [0] }, "1 images need as many Prompts, but there are 0");
        Refuse(Request([2, 2]) with { Labels = [0] }, "but there are 2");
        Refuse(Request([41]), "41 tokens, but this model takes at most 40");
        Refuse(Request([2]) with { Prompts = [new PromptFeatures("", new float[10], 10)] }, "10 numbers per token, but this model takes 24");
        using var ofClasses = CpuGenerationEngine.Open(SmallGpt.State(SmallGpt.Odd), SmallGpt.Odd, "test", WeightStorage.Float32, threads: 1);
        Assert.Contains("classes condition this model", Assert.Throws<ConfigException>(() => ofClasses.Generate(Request([2]))).Message,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, 24)]
    [InlineData(25, 24)]
    [InlineData(24, 0)]
    public void Features_that_are_no_tokens_are_refused(int numbers, int width)
        => Assert.Throws<ConfigException>(() => new PromptFeatures("", new float[numbers], width));

    [Fact]
    public void Features_that_are_not_finite_are_refused()
        => Assert.Contains(
            "not finite", Assert.Throws<ConfigException>(() => new PromptFeatures("", [1, float.NaN], 2)).Message, StringComparison.Ordinal);

    private static GenerationRequest Request(int[] lengths) => new()
    {
        Labels = new int[lengths.Length], Prompts = [.. lengths.Select((length, i) => Prompt(length, i))], Seed = 7,
    };

    private static PromptFeatures Prompt(int length, int seed)
    {
        var random = new CounterRandom((ulong)seed, RandomStream.Codes);
        return new PromptFeatures("", [.. Enumerable.Range(0, length * Width).Select(i => (float)random.Uniform(i, 1) - 0.5f)], Width);
    }

    /// <summary>Logits of every position of images whose codes are given, beside each its unconditional row.</summary>
    private static float[] Logits(IGptDecoder decoder, int[] lengths)
    {
        var (length, vocabulary) = (decoder.Config.CodesPerImage, decoder.Config.VocabularySize);
        var logits = new List<float>();
        foreach (var (i, prompt) in lengths.Select(Prompt).Index())
        {
            EncodedPrompt[] prompts = [decoder.Encode(prompt), decoder.Unconditional(prompt.TokenCount)];
            int[] slots = [decoder.TakeSlot(), decoder.TakeSlot()];
            for (var row = 0; row < 2; row++)
            {
                decoder.Prefill(slots[row], prompts[row]);
            }

            for (var position = 0; position < length; position++)
            {
                decoder.Run([.. slots.Select((slot, row) => position == 0
                    ? new DecodeRow(slot, 0, prompts[row].Count - 1, prompts[row])
                    : new DecodeRow(slot, position, (int)(new CounterRandom(5, RandomStream.Codes).Bits(i, position) % (ulong)vocabulary)))]);
                logits.AddRange(decoder.Logits(0));
                logits.AddRange(decoder.Logits(1));
            }

            Array.ForEach(slots, decoder.ReturnSlot);
        }

        return [.. logits];
    }
}
