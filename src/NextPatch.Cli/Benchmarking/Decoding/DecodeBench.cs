using System.Diagnostics;
using System.Text.Json;
using NextPatch.Core.Checkpoints.Safetensors;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Core.Sampling;
using NextPatch.Core.Tensors;
using NextPatch.Cpu.Generation;
using NextPatch.Cpu.Gpt;
using NextPatch.Cpu.Tokenizer;
using NextPatch.Torch.Loading;
using NextPatch.Torch.Tokenizer;

namespace NextPatch.Cli.Benchmarking.Decoding;

/// <summary>What is measured.</summary>
/// <param name="Preset">Shape of the transformer; 256 x 256 pixels with the tokenizer VQ-16, weights by formula.</param>
/// <param name="Images">Images side by side.</param>
/// <param name="Codes">Positions measured, spread over an image; of each the fastest round counts.</param>
/// <param name="Rounds">Repetitions.</param>
/// <param name="WithBaseline">Whether the TorchSharp engine is measured beside.</param>
/// <param name="Precision">The only one that codes are timed in; null: all.</param>
internal sealed record DecodeBenchPlan(
    string Preset, IReadOnlyList<int> Images, int Codes, int Rounds, bool WithBaseline, string? Precision = null)
{
    /// <summary>How weights are kept, by the names of <c>--precision</c>.</summary>
    public static IReadOnlyList<(WeightStorage Storage, string Name)> AllStorages { get; } =
        [(WeightStorage.Float32, "fp32"), (WeightStorage.BFloat16, "bf16"), (WeightStorage.Int8, "int8")];

    /// <summary>Those that are timed.</summary>
    public IEnumerable<(WeightStorage Storage, string Name)> Storages => AllStorages.Where(s => Precision is null || s.Name == Precision);
}

/// <summary>Times generation: codes, pixels, whole images. Engines take turns in every round, so that other work meets all alike.</summary>
internal sealed class DecodeBench(DecodeBenchPlan plan, Action<string> note)
{
    private const string Tokenizer = "VQ-16";

    private readonly GptConfig _config = GptPresets.Get(plan.Preset);
    private readonly List<BenchFigure> _figures = [];

    public IReadOnlyList<BenchFigure> Run(CancellationToken cancellation)
    {
        var state = FormulaWeights.Create(_config, ElementType.Float32).ToDictionary(p => p.Key, p => p.Value);
        using (var torch = plan.WithBaseline ? new TorchSteps(_config, state) : null)
        {
            foreach (var (storage, name) in plan.Storages)
            {
                MeasureCodes(state, storage, name, torch, cancellation);
            }
        }

        NativeBackend.EnsureLoaded();
        using var network = new VqTokenizer(TokenizerPresets.Get(Tokenizer), seed: 1);
        network.eval();
        var tensors = StateLoader.Capture(network).ToDictionary(p => p.Key, p => p.Value);
        MeasurePixels(network, tensors.ToDictionary(p => p.Key, p => StoredTensor.From(p.Value)), state, cancellation);
        MeasureColdStart(tensors, cancellation);
        return _figures;
    }

    /// <summary>Bytes of the weights that a pass reads.</summary>
    public static double BytesPerPass(GptConfig config, WeightStorage storage)
        => ((config.BlockMatrixWeights * config.LayerCount) + ((double)config.VocabularySize * config.Width)) * storage switch
        {
            WeightStorage.Float32 => 4,
            WeightStorage.BFloat16 => 2,
            _ => 1 + ((double)sizeof(float) / Int8Quantization.BlockLength),
        };

    private void MeasureCodes(
        Dictionary<string, StoredTensor> state, WeightStorage storage, string name, TorchSteps? torch, CancellationToken cancellation)
    {
        using var bandwidth = new ReadBandwidth(Environment.ProcessorCount);
        var bytes = BytesPerPass(_config, storage);
        using var decoder = GptDecoders.Create(_config, state, storage, 2 * plan.Images.Max(), Environment.ProcessorCount);
        foreach (var images in plan.Images)
        {
            using var steps = new ManagedSteps(decoder, images);
            for (var round = 0; round < plan.Rounds; round++)
            {
                cancellation.ThrowIfCancellationRequested();
                bandwidth.Measure();
                steps.Measure(plan.Codes);
                torch?.Measure(plan.Codes, TorchSteps.Images);
            }

            var calls = (images + TorchSteps.Images - 1) / TorchSteps.Images;
            Add($"decode.{name}.{images}.code", steps.Code, torch is null ? null : calls * torch.Code, bytes / bandwidth.BytesPerSecond / steps.Code);
            note($"{name}, {images} images: {steps.Code * 1e3:0.0} ms per code; {bandwidth.BytesPerSecond / 1e9:0.0} GB/s read.");
        }
    }

    private void MeasurePixels(
        VqTokenizer network, IReadOnlyDictionary<string, StoredTensor> tensors, IReadOnlyDictionary<string, StoredTensor> state,
        CancellationToken cancellation)
    {
        var config = network.Config;
        using var rate = new MultiplyAddRate();
        using var managed = CpuTokenizer.Open(tensors, config, Tokenizer, null, threads: null);
        using var engine = CpuGenerationEngine.Open(state, _config, "formula", WeightStorage.Int8, threads: null);
        int[] codes = [.. Enumerable.Range(0, config.CodesPerImage).Select(i => i * 61 % config.CodebookSize)];
        var fastest = new double[5];
        Array.Fill(fastest, double.MaxValue);
        var (pixels, found) = (managed.Decode(codes, cancellation), new int[codes.Length]);
        void Time(int i, Action action) => fastest[i] = Math.Min(fastest[i], StepSeconds.Measure(action));
        for (var round = 0; round < plan.Rounds; round++)
        {
            rate.Measure();
            Time(0, () => managed.Decode(codes, cancellation));
            Time(1, () => managed.Encode(pixels, found, cancellation));
            if (plan.WithBaseline)
            {
                Time(2, () => network.DecodePixels(codes, cancellation));
                Time(3, () => network.EncodePixels(pixels, cancellation));
            }

            Time(4, () => managed.Decode(engine.Generate(Guided(round), cancellation: cancellation), cancellation));
        }

        double? Baseline(int i) => plan.WithBaseline ? fastest[i] : null;
        Add("tokenizer.decode", fastest[0], Baseline(2), ConvolutionWork.MultiplyAdds(tensors, config, "decoder") / rate.PerSecond / fastest[0]);
        Add("tokenizer.encode", fastest[1], Baseline(3), ConvolutionWork.MultiplyAdds(tensors, config, "encoder") / rate.PerSecond / fastest[1]);
        Add("image.warm", fastest[4], null, null);
        note($"{rate.PerSecond / 1e9:0} G multiply-adds a second in float; image {fastest[4]:0.00} s.");
    }

    /// <summary>This program once more, from its start to the file, with weights on disk.</summary>
    private void MeasureColdStart(Dictionary<string, HostTensor> tokenizer, CancellationToken cancellation)
    {
        var folder = Directory.CreateTempSubdirectory("nextpatch-");
        try
        {
            var model = Path.Combine(folder.FullName, "model");
            FormulaWeights.WriteInt8(model, _config);
            Directory.CreateDirectory(Path.Combine(model, "tokenizer"));
            SafetensorsFile.Write(Path.Combine(model, "tokenizer", "model.safetensors"), tokenizer);
            File.WriteAllText(
                Path.Combine(model, "tokenizer", "config.json"),
                JsonSerializer.Serialize(TokenizerPresets.Get(Tokenizer), ConfigJson.Default.TokenizerConfig));
            var fastest = double.MaxValue;
            for (var round = 0; round < Math.Min(plan.Rounds, 2); round++)
            {
                cancellation.ThrowIfCancellationRequested();
                fastest = Math.Min(fastest, StepSeconds.Measure(() => Draw(model, Path.Combine(folder.FullName, "samples"))));
            }

            Add("image.cold", fastest, null, null);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static void Draw(string model, string output)
    {
        var program = Path.Combine(AppContext.BaseDirectory, OperatingSystem.IsWindows() ? "nextpatch.exe" : "nextpatch");
        string[] arguments = ["sample", "--model", model, "--class", "0", "--count", "1", "--output", output];
        using var process = File.Exists(program)
            ? Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!
            : Process.Start(new ProcessStartInfo(
                "dotnet", [Path.Combine(AppContext.BaseDirectory, "NextPatch.Cli.dll"), .. arguments])
            { RedirectStandardOutput = true, RedirectStandardError = true })!;
        process.StandardOutput.ReadToEnd();
        process.WaitForExit();
    }

    private static GenerationRequest Guided(int round) => new()
    {
        Labels = [0], Seed = (ulong)round, Sampling = new SamplingConfig { GuidanceScale = 2 },
    };

    private void Add(string name, double seconds, double? baseline, double? floorShare)
        => _figures.Add(new BenchFigure(name, seconds, "s", baseline, seconds / baseline, floorShare));
}

/// <summary>Time of single codes.</summary>
internal static class StepSeconds
{
    public static double Measure(Action action)
    {
        var start = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    /// <summary>The position of the i-th code measured.</summary>
    public static int Position(int i, int codes, int length) => (int)((i + 0.5) * length / codes);
}
