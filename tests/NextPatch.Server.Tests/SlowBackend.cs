using System.Collections.Concurrent;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Core.Sampling;
using NextPatch.Cpu;

namespace NextPatch.Server.Tests;

/// <summary>The engine in C#, a few images at a time, whose steps wait for a test.</summary>
internal sealed class SlowBackend(int images) : IComputeBackend
{
    private readonly CpuBackend _inner = new() { Threads = 1 };

    /// <summary>Steps that may be taken; the test adds to it.</summary>
    public SemaphoreSlim Steps { get; } = new(0);

    /// <summary>Images in the batch, by seed, after each step.</summary>
    public ConcurrentQueue<ulong[]> Seen { get; } = [];

    /// <summary>What the next step throws.</summary>
    public Exception? Failure { get; set; }

    public string Name => _inner.Name;

    public int ThreadCount => 1;

    public IGenerationEngine OpenEngine(GptConfig config, WeightsFile weights, ComputePrecision precision)
        => new Engine(this, (IBatchingEngine)_inner.OpenEngine(config, weights, precision), images);

    public IImageTokenizer OpenTokenizer(TokenizerConfig config, WeightsFile weights, ComputePrecision precision, int? encodingBatch)
        => _inner.OpenTokenizer(config, weights, precision, encodingBatch);

    private sealed class Engine(SlowBackend owner, IBatchingEngine inner, int images) : IBatchingEngine, IGenerationBatch
    {
        private readonly IGenerationBatch _batch = inner.Batch;
        private readonly Dictionary<IImageInProgress, ulong> _seeds = [];

        public string Name => inner.Name;

        public GptConfig Config => inner.Config;

        public int BatchSize => images;

        public IGenerationBatch Batch => this;

        public int Rows => _batch.Rows;

        public bool HasRoom(SamplingConfig sampling) => _seeds.Count < images;

        public IImageInProgress Enter(GenerationRequest request, int place)
        {
            var image = _batch.Enter(request, place);
            _seeds[image] = request.Seed;
            return image;
        }

        public void Leave(IImageInProgress image)
        {
            _seeds.Remove(image);
            _batch.Leave(image);
        }

        public void Step()
        {
            owner.Steps.Wait();
            if (owner.Failure is { } failure)
            {
                owner.Failure = null;
                throw failure;
            }

            _batch.Step();
            owner.Seen.Enqueue([.. _seeds.Values]);
        }

        public int[] Generate(GenerationRequest request, IProgress<int>? progress, CancellationToken cancellation)
            => inner.Generate(request, progress, cancellation);

        public void Dispose() => inner.Dispose();
    }
}
