using System.Diagnostics;
using System.Globalization;
using NextPatch.Benchmarks.Formats;
using NextPatch.Core.Configuration;
using NextPatch.Core.Sampling;
using NextPatch.Core.Tensors;
using NextPatch.Cpu.Gpt;
using NextPatch.Torch.Gpt;
using NextPatch.Torch.Loading;
using static TorchSharp.torch;

namespace NextPatch.Benchmarks.Decoding;

/// <summary>
/// Milliseconds per code of both engines, guided, beside the time to read the weights. The rounds of all of them alternate, and of every position the
/// fastest counts, so that other work on the machine meets all alike.
/// </summary>
internal static class DecodeSpeed
{
    // As TorchGenerationEngine computes for wide models, whatever number of images is asked for.
    private const int TorchImages = 8;

    /// <param name="preset">A published size; weights by formula.</param>
    /// <param name="images">Images side by side.</param>
    /// <param name="codes">Positions measured, spread over an image.</param>
    /// <param name="rounds">How often each is measured.</param>
    /// <param name="withTorch">Whether to measure the TorchSharp engine too.</param>
    public static void Run(string preset, int[] images, int codes, int rounds, bool withTorch)
    {
        var config = GptPresets.Get(preset);
        var state = FormulaWeights.Create(config, ElementType.Float32).ToDictionary(p => p.Key, p => p.Value);
        var weights = (config.BlockMatrixWeights * config.LayerCount) + ((long)config.VocabularySize * config.Width);
        using var bandwidth = new ReadBandwidth(Environment.ProcessorCount);
        using var torch = withTorch ? new TorchSteps(config, state) : null;
        Console.WriteLine(
            $"GPT-{preset}, {weights / 1e6:0.0} M weights in products, {Environment.ProcessorCount} threads; ms per code, mean of the fastest of "
            + "each position");
        foreach (var storage in new[] { WeightStorage.Float32, WeightStorage.BFloat16, WeightStorage.Int8 })
        {
            var start = Stopwatch.GetTimestamp();
            using var decoder = GptDecoders.Create(config, state, storage, 2 * images.Max(), Environment.ProcessorCount);
            Console.WriteLine(
                string.Create(CultureInfo.InvariantCulture, $"{storage}: opened in {Stopwatch.GetElapsedTime(start).TotalSeconds:0.0} s"));
            var bytes = weights * storage switch { WeightStorage.Float32 => 4, WeightStorage.BFloat16 => 2, _ => 1 + (4 / 128.0) };
            foreach (var count in images)
            {
                using var batch = new ManagedSteps(decoder, count);
                for (var round = 0; round < rounds; round++)
                {
                    bandwidth.Measure();
                    batch.Measure(codes);
                    torch?.Measure(codes, TorchImages);
                }

                var (products, floor, read) = (batch.Products, bytes / bandwidth.BytesPerSecond, bandwidth.BytesPerSecond / 1e9);
                Console.WriteLine(string.Create(
                    CultureInfo.InvariantCulture,
                    $"{storage,-9} {count,3} images: code {batch.Code * 1e3:0.00} | empty cache, no draw {products * 1e3:0.00} = "
                        + $"{floor / products:0%} of {read:0.0} GB/s"));
                if (torch is not null)
                {
                    var calls = (count + TorchImages - 1) / TorchImages;
                    Console.WriteLine(string.Create(
                        CultureInfo.InvariantCulture,
                            $"              TorchSharp {calls * torch.Code * 1e3:0.00}, ratio {calls * torch.Code / batch.Code:0.0}"));
                }
            }
        }
    }

    /// <summary>The position of the i-th code measured.</summary>
    private static int Position(int i, int codes, int length) => (int)((i + 0.5) * length / codes);

    private static double Seconds(Action action)
    {
        var start = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    /// <summary>Passes and draws of the managed engine, caches as full as the position says.</summary>
    private sealed class ManagedSteps : IDisposable
    {
        private readonly IGptDecoder _decoder;
        private readonly DecodeRow[] _rows;
        private readonly LogitsProcessor[] _processors;
        private readonly Action<int, int> _draw;
        private double[] _fastest = [];
        private int _position;

        public ManagedSteps(IGptDecoder decoder, int images)
        {
            _decoder = decoder;
            _rows = [.. Enumerable.Range(0, 2 * images).Select(_ => new DecodeRow(decoder.TakeSlot(), 0, 0))];
            _processors = [.. Enumerable.Range(0, images).Select(_ => new LogitsProcessor(new SamplingConfig(), decoder.Config.VocabularySize))];
            _draw = (image, _) =>
            {
                LogitsProcessor.Guide(_decoder.Logits(2 * image), _decoder.Logits((2 * image) + 1), 2);
                _processors[image].Draw(_decoder.Logits(2 * image), new CounterRandom(1, RandomStream.Codes).Uniform(image, _position));
            };
        }

        public double Code => _fastest.Average();

        public double Products { get; private set; } = double.MaxValue;

        public void Measure(int codes)
        {
            if (_fastest.Length != codes)
            {
                Array.Resize(ref _fastest, codes);
                Array.Fill(_fastest, double.MaxValue);
            }

            for (var i = 0; i < codes; i++)
            {
                Products = Math.Min(Products, Seconds(() => Pass(1)));
                _fastest[i] = Math.Min(_fastest[i], Seconds(() =>
                {
                    Pass(Position(i, codes, _decoder.Config.CodesPerImage));
                    _decoder.Team.Run(_rows.Length / 2, _draw);
                }));
            }
        }

        public void Dispose()
        {
            foreach (var row in _rows)
            {
                _decoder.ReturnSlot(row.Slot);
            }
        }

        private void Pass(int position)
        {
            _position = position;
            for (var row = 0; row < _rows.Length; row++)
            {
                _rows[row] = _rows[row] with { Position = position };
            }

            _decoder.Run(_rows);
        }
    }

    /// <summary>What TorchGenerationEngine does for one code, for eight images, whose rows it computes however few are asked for.</summary>
    private sealed class TorchSteps : IDisposable
    {
        private readonly GptModel _model;
        private readonly KvCache _cache;
        private double[] _fastest = [];

        public TorchSteps(GptConfig config, IReadOnlyDictionary<string, StoredTensor> state)
        {
            NativeBackend.EnsureLoaded();
            _model = new GptModel(config);
            StateLoader.Load(_model, state, "formula");
            _model.eval();
            _cache = new KvCache(config, 2 * TorchImages, config.CodesPerImage, _model.Head);
        }

        public double Code => _fastest.Average();

        public void Measure(int codes, int images)
        {
            if (_fastest.Length != codes)
            {
                Array.Resize(ref _fastest, codes);
                Array.Fill(_fastest, double.MaxValue);
            }

            using var noGrad = inference_mode();
            var inputs = new long[2 * images];
            var processor = new LogitsProcessor(new SamplingConfig(), _model.Config.VocabularySize);
            for (var i = 0; i < codes; i++)
            {
                _cache.Clear();
                for (var layer = 0; layer < _model.Config.LayerCount; layer++)
                {
                    _cache[layer].Length = Position(i, codes, _model.Config.CodesPerImage);
                }

                _fastest[i] = Math.Min(_fastest[i], Seconds(() =>
                {
                    using var scope = NewDisposeScope();
                    var logits = _model.DecodeStep(tensor(inputs, [inputs.Length]), _cache).data<float>().ToArray();
                    var own = logits.AsSpan(0, _model.Config.VocabularySize);
                    LogitsProcessor.Guide(own, logits.AsSpan(images * own.Length, own.Length), 2);
                    processor.Draw(own, 0.5);
                }));
            }
        }

        public void Dispose()
        {
            _cache.Dispose();
            _model.Dispose();
        }
    }
}
