using System.Text.Json.Nodes;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Checkpoints.Numpy;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Core.Sampling;
using NextPatch.Cpu.Generation;
using NextPatch.Cpu.Gpt;
using NextPatch.Cpu.Tests.Gpt;
using NextPatch.Torch.Generation;

namespace NextPatch.Cpu.Tests.Generation;

[NoTensorLeaks]
public sealed class CpuGenerationEngineTests
{
    private static int[] Labels(int count) => [.. Enumerable.Range(0, count).Select(i => i % 3)];

    private static CpuGenerationEngine Open(GptConfig? config = null, WeightStorage storage = WeightStorage.Float32, int threads = 2)
        => CpuGenerationEngine.Open(SmallGpt.State(config ?? SmallGpt.Odd), config ?? SmallGpt.Odd, "test", storage, threads);

    public static TheoryData<SamplingConfig> Rules =>
    [
        new SamplingConfig { GuidanceScale = 1 },
        new SamplingConfig { GuidanceScale = 2.5, TopK = 12 },
        new SamplingConfig { GuidanceScale = 4, GuidanceShape = GuidanceShape.Power, GuidancePower = 2, TopP = 0.9, Temperature = 0.8 },
        new SamplingConfig { GuidanceScale = 3, GuidanceInterval = 7, Greedy = true },
    ];

    [Theory]
    [MemberData(nameof(Rules))]
    public void Codes_are_those_of_the_TorchSharp_engine(SamplingConfig rules)
    {
        foreach (var config in new[] { SmallGpt.Even, SmallGpt.Odd })
        {
            var request = new GenerationRequest { Labels = Labels(20), Seed = 7, FirstIndex = 3, Sampling = rules };
            using var model = SmallGpt.Create(config);
            using var torch = new TorchGenerationEngine(model, ownsModel: false);
            using var cpu = Open(config);
            Assert.Equal(torch.Generate(request), cpu.Generate(request));
        }
    }

    [Fact]
    public void Given_codes_are_kept_and_the_others_drawn_as_in_the_TorchSharp_engine()
    {
        var config = SmallGpt.Even;
        using var model = SmallGpt.Create(config);
        using var torch = new TorchGenerationEngine(model, ownsModel: false);
        using var cpu = Open(config);
        var free = new GenerationRequest { Labels = Labels(3), Seed = 7, Sampling = new SamplingConfig { GuidanceScale = 2 } };
        var before = cpu.Generate(free);
        int[] given = [.. before.Select((code, i) => i % 5 == 2 ? (code + 1) % config.VocabularySize : i % 3 == 0 ? code : -1)];

        var codes = cpu.Generate(free with { GivenCodes = given });

        Assert.Equal(torch.Generate(free with { GivenCodes = given }), codes);
        Assert.All(given.Zip(codes).Where(p => p.First >= 0), p => Assert.Equal(p.First, p.Second));
        Assert.Equal(before, cpu.Generate(free with { GivenCodes = [.. before.Select((code, i) => i % 2 == 0 ? code : -1)] })); // its own codes
        Assert.Throws<ConfigException>(() => cpu.Generate(free with { GivenCodes = given[1..] }));
        Assert.Throws<ConfigException>(() => cpu.Generate(free with { GivenCodes = [.. given.Select(_ => config.VocabularySize)] }));
    }

    [Fact]
    public void Rows_are_told_as_they_are_finished()
    {
        var config = SmallGpt.Even;
        using var model = SmallGpt.Create(config);
        using var torch = new TorchGenerationEngine(model, ownsModel: false);
        using var cpu = Open(config);
        foreach (var engine in new IGenerationEngine[] { cpu, torch })
        {
            var rows = new List<(int Image, int[] Codes)>();
            var codes = engine.Generate(new GenerationRequest
            {
                Labels = Labels(2), OnRow = row => rows.Add((row.Image, row.Codes.Span[^config.GridSide..].ToArray())),
            });
            Assert.Equal(2 * config.GridSide, rows.Count);
            Assert.Equal(codes, rows.OrderBy(row => row.Image).SelectMany(row => row.Codes)); // in order of rows: the sort is stable
        }
    }

    /// <summary>Recorded from the published code; taken from where the golden cases are.</summary>
    [Fact]
    public void Recorded_generations_come_out_code_for_code()
    {
        var folder = Path.Combine(AppContext.BaseDirectory, "Goldens");
        var entry = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "manifest.json")))!["cases"]!.AsArray()
            .Single(e => (string)e!["name"]! == "gen_c2i")!;
        var arguments = entry["config"]!["ModelArgs"]!;
        using var weights = WeightsFile.Open(Path.Combine(folder, "gen_c2i.pt"));
        var config = new GptConfig
        {
            Width = (int)arguments["dim"]!, LayerCount = (int)arguments["n_layer"]!, HeadCount = (int)arguments["n_head"]!,
            FfnMultipleOf = (int)arguments["multiple_of"]!, ClassCount = (int)arguments["num_classes"]!,
            VocabularySize = (int)arguments["vocab_size"]!, GridSide = 8,
        };
        using var engine = CpuGenerationEngine.Open(weights, config);
        var runs = entry["runs"]!.AsArray();
        Assert.InRange(runs.Count, 5, int.MaxValue);
        foreach (var run in runs)
        {
            using var file = NpzFile.Open(Path.Combine(folder, (string)run!["file"]!));
            var (labels, tokens) = (file.Tensors["cond"].Read().ToInt64(), file.Tensors["tokens"].Read());
            var codes = engine.Generate(new GenerationRequest
            {
                Labels = [.. labels.Select(l => (int)l)],
                Sampling = new SamplingConfig
                {
                    Greedy = true,
                    GuidanceScale = (double)run["cfg_scale"]!,
                    GuidanceInterval = (int?)run["cfg_interval"] ?? -1,
                    Temperature = (double?)run["temperature"] ?? 1,
                    TopK = (int?)run["top_k"] ?? 0,
                    TopP = (double?)run["top_p"] ?? 1,
                },
            });
            var length = (int)tokens.Shape[1]; // a short recording is the beginning of an image
            Assert.Equal(
                tokens.ToInt64(), Enumerable.Range(0,
                labels.Length).SelectMany(i => codes.Skip(i * config.CodesPerImage).Take(length)).Select(c => (long)c));
        }
    }

    [Theory]
    [InlineData(WeightStorage.Float32, 1.0)]
    [InlineData(WeightStorage.BFloat16, 2.5)]
    [InlineData(WeightStorage.Int8, 2.5)]
    public void An_image_does_not_depend_on_how_many_are_drawn_with_it(WeightStorage storage, double scale)
    {
        using var engine = Open(storage: storage);
        var request = new GenerationRequest { Labels = Labels(40), Seed = 7, Sampling = new SamplingConfig { GuidanceScale = scale, TopK = 12 } };
        var all = engine.Generate(request);
        var codes = engine.Config.CodesPerImage;
        foreach (var image in new[] { 0, 5, 15, 16, 39 })
        {
            Assert.Equal(
                all[(image * codes)..((image + 1) * codes)], engine.Generate(request with { Labels = [request.Labels[image]], FirstIndex = image }));
        }

        Assert.Equal(all[(10 * codes)..(13 * codes)], engine.Generate(request with { Labels = Labels(40)[10..13], FirstIndex = 10 }));
    }

    [Fact]
    public void Images_enter_and_leave_between_codes_without_changing_each_other()
    {
        var config = SmallGpt.Odd;
        using var decoder = GptDecoders.Create(config, SmallGpt.State(config), WeightStorage.Int8, maxRows: 6, threads: 2);
        var batch = new DecodeBatch(decoder);
        SequenceRequest[] requests =
        [
            new(0, 0, 1, new SamplingConfig { GuidanceScale = 2 }),
            new(1, 9, 2, new SamplingConfig { GuidanceScale = 1, TopK = 5 }),
            new(2, 4, 3, new SamplingConfig { GuidanceScale = 3, TopP = 0.8 }),
            new(1, 4, 3, new SamplingConfig { GuidanceScale = 1, Greedy = true }),
        ];
        var alone = requests.Select(request => Draw(batch, batch.Enter(request))).ToArray();

        var first = batch.Enter(requests[0]);
        Step(batch, 3);
        var second = batch.Enter(requests[1]);
        Step(batch, 5);
        var cancelled = batch.Enter(requests[2]);
        Step(batch, 2);
        batch.Leave(cancelled);
        var third = batch.Enter(requests[2]);
        var fourth = batch.Enter(requests[3]);
        Assert.False(batch.HasRoom(requests[3]));

        Assert.Equal(alone[0], Draw(batch, first));
        Assert.Equal(alone[1], Draw(batch, second));
        Assert.Equal(alone[2], Draw(batch, third));
        Assert.Equal(alone[3], Draw(batch, fourth));
        Assert.Empty(batch.Active);
    }

    [Theory]
    [InlineData(WeightStorage.Float32)]
    [InlineData(WeightStorage.Int8)]
    public void Nothing_is_allocated_per_code(WeightStorage storage)
    {
        var config = SmallGpt.Even;
        using var decoder = GptDecoders.Create(config, SmallGpt.State(config), storage, maxRows: 8, threads: 3);
        var batch = new DecodeBatch(decoder);
        for (var i = 0; i < 4; i++)
        {
            batch.Enter(new SequenceRequest(0, i, 1, new SamplingConfig { GuidanceScale = 2, TopK = 20, TopP = 0.9 }));
        }

        Step(batch, 8); // compiles
        Thread.Sleep(20); // lets the others sleep, so that waking them counts as well
        var before = GC.GetTotalAllocatedBytes(precise: true);
        Step(batch, 25);
        Assert.InRange(GC.GetTotalAllocatedBytes(precise: true) - before, 0, 24); // the measurement itself boxes
    }

    [Fact]
    public void Seeds_reproduce_and_differ()
    {
        using var engine = Open();
        var request = new GenerationRequest { Labels = Labels(4), Seed = 1 };
        Assert.Equal(engine.Generate(request), engine.Generate(request));
        Assert.NotEqual(engine.Generate(request), engine.Generate(request with { Seed = 2 }));
        Assert.Empty(engine.Generate(request with { Labels = [] }));
    }

    [Fact]
    public void A_cancelled_request_leaves_nothing_behind()
    {
        using var engine = Open();
        var request = new GenerationRequest { Labels = Labels(30), Seed = 5 };
        var expected = engine.Generate(request);
        using var cancellation = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(() => engine.Generate(request, new Cancelling(cancellation), cancellation.Token));
        Assert.Equal(expected, engine.Generate(request));
    }

    [Fact]
    public void Progress_counts_finished_images()
    {
        using var engine = Open();
        var seen = new Seen();
        engine.Generate(new GenerationRequest { Labels = Labels(18) }, seen);
        Assert.Equal(Enumerable.Range(1, 18), seen.Values);
    }

    [Fact]
    public void Guidance_without_a_null_class_is_refused_with_the_way_out()
    {
        using var engine = Open(SmallGpt.Odd with { ClassDropout = 0 });
        var error = Assert.Throws<ConfigException>(() => engine.Generate(new GenerationRequest { Labels = [0] }));
        Assert.Contains("GuidanceScale 1", error.Message, StringComparison.Ordinal);
        Assert.Equal(25, engine.Generate(new GenerationRequest { Labels = [0], Sampling = new SamplingConfig { GuidanceScale = 1 } }).Length);
    }

    [Fact]
    public void Unknown_classes_are_named()
    {
        using var engine = Open();
        Assert.Contains(
            "class 3", Assert.Throws<ConfigException>(() => engine.Generate(new GenerationRequest { Labels = [0, 3] })).Message,
            StringComparison.Ordinal);
    }

    private static int[] Draw(DecodeBatch batch, Sequence sequence)
    {
        while (!sequence.IsFinished)
        {
            Step(batch, 1);
        }

        var codes = sequence.Codes.ToArray();
        batch.Leave(sequence);
        return codes;
    }

    private static void Step(DecodeBatch batch, int times)
    {
        for (var i = 0; i < times; i++)
        {
            batch.Step();
        }
    }

    private sealed class Cancelling(CancellationTokenSource source) : IProgress<int>
    {
        public void Report(int value) => source.Cancel();
    }

    private sealed class Seen : IProgress<int>
    {
        public List<int> Values { get; } = [];

        public void Report(int value) => Values.Add(value);
    }
}
