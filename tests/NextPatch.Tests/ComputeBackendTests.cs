using NextPatch.Cli.Tests;
using NextPatch.Core;
using NextPatch.Core.Checkpoints;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Models;

namespace NextPatch.Tests;

public sealed class ComputeBackendTests
{
    [Fact]
    public async Task The_callers_thread_stays_free_while_images_are_drawn()
    {
        using var folder = new TemporaryFolder();
        using var backend = new FakeBackend();
        using var generator = ImageGenerator.Load(SmallModel.Write(folder), new() { Backend = backend });
        await using var images = generator.GenerateAsync(new() { Count = 2 }).GetAsyncEnumerator();

        var first = images.MoveNextAsync().AsTask(); // would not come back if it computed here

        Assert.True(backend.Begun.Wait(TimeSpan.FromMinutes(1)));
        Assert.False(first.IsCompleted);
        Assert.NotEqual(Environment.CurrentManagedThreadId, backend.Thread);
        backend.MayGoOn.Set();
        Assert.True(await first);
        Assert.All(images.Current.Pixels.ToArray(), value => Assert.Equal(7, value));
        Assert.Equal("fake", generator.Engine);
    }

    [Fact]
    public void Where_nothing_computes_the_message_names_the_package()
    {
        var error = Assert.Throws<NextPatchException>(() => ComputeBackends.First(["NextPatch.Nowhere"]));

        Assert.Contains("add a reference to the package NextPatch.Torch, or set Backend in the options", error.Message, StringComparison.Ordinal);
        Assert.Throws<NextPatchException>(() => ComputeBackends.First(["NextPatch.Core"])); // is there, and offers none
    }

    [Fact]
    public void What_lies_beside_the_program_is_found_and_a_chosen_backend_goes_before_it()
    {
        using var fake = new FakeBackend();

        Assert.StartsWith("C#", ComputeBackends.Find(null).Name, StringComparison.Ordinal);
        Assert.StartsWith("TorchSharp", ComputeBackends.First(["NextPatch.Nowhere", "NextPatch.Torch"]).Name, StringComparison.Ordinal);
        Assert.Same(fake, ComputeBackends.Find(fake));
    }

    /// <summary>Draws grey, when it may.</summary>
    private sealed class FakeBackend : IComputeBackend, IDisposable
    {
        public ManualResetEventSlim Begun { get; } = new();

        public ManualResetEventSlim MayGoOn { get; } = new();

        public int Thread { get; private set; }

        public string Name => "fake";

        public int ThreadCount => 1;

        public IGenerationEngine OpenEngine(GptConfig config, WeightsFile weights, ComputePrecision precision = ComputePrecision.Fp32)
            => new Engine(this, config);

        public IImageTokenizer OpenTokenizer(
            TokenizerConfig config, WeightsFile weights, ComputePrecision precision = ComputePrecision.Fp32, int? encodingBatch = null)
            => new Tokenizer(config);

        public void Dispose()
        {
            Begun.Dispose();
            MayGoOn.Dispose();
        }

        private sealed class Engine(FakeBackend backend, GptConfig config) : IGenerationEngine
        {
            public string Name => "fake";

            public GptConfig Config => config;

            public int BatchSize => 4;

            public int[] Generate(GenerationRequest request, IProgress<int>? progress = null, CancellationToken cancellation = default)
            {
                backend.Thread = Environment.CurrentManagedThreadId;
                backend.Begun.Set();
                backend.MayGoOn.Wait(cancellation);
                return new int[request.Labels.Count * config.CodesPerImage];
            }

            public void Dispose()
            {
            }
        }

        private sealed class Tokenizer(TokenizerConfig config) : IImageTokenizer
        {
            public TokenizerConfig Config => config;

            public int EncodingBatch => 1;

            public void Encode(ReadOnlySpan<byte> pixels, Span<int> codes, CancellationToken cancellation = default)
                => throw new NotSupportedException();

            public byte[] Decode(ReadOnlyMemory<int> codes, CancellationToken cancellation = default)
            {
                var pixels = new byte[codes.Length / (config.GridSide * config.GridSide) * config.ImageSide * config.ImageSide * 3];
                Array.Fill(pixels, (byte)7);
                return pixels;
            }

            public float[] DecodePlanes(ReadOnlyMemory<int> codes, CancellationToken cancellation = default) => throw new NotSupportedException();

            public void Dispose()
            {
            }
        }
    }
}
