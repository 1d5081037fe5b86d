using System.Collections.Concurrent;
using NextPatch.Core.Configuration;
using NextPatch.Core.Generation;
using NextPatch.Cpu.Generation;
using NextPatch.Cpu.Gpt;
using NextPatch.Cpu.Tests.Gpt;

namespace NextPatch.Cpu.Tests.Generation;

/// <summary>What an engine leaves behind, and what it shares with others in the process.</summary>
[NoTensorLeaks]
public sealed class EngineLifetimeTests
{
    /// <summary>Neither the heap nor the places in the cache grow; memory of the process stays within what the collector leaves lying.</summary>
    [Fact]
    public void A_thousand_images_leave_nothing_behind()
    {
        var config = SmallGpt.Odd;
        using var decoder = GptDecoders.Create(config, SmallGpt.State(config), WeightStorage.Int8, maxRows: 32, threads: 2);
        using var engine = new CpuGenerationEngine(decoder, WeightStorage.Int8);
        void Draw(int count) => engine.Generate(new GenerationRequest { Labels = Labels(count), Seed = 1 });
        Draw(100);
        var (heap, memory) = (GC.GetTotalMemory(forceFullCollection: true), Environment.WorkingSet);
        for (var i = 0; i < 10; i++)
        {
            Draw(90 + i); // never the same number
        }

        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - heap, long.MinValue, 20_000);
        Assert.InRange(Environment.WorkingSet - memory, long.MinValue, 16 << 20);
        Assert.InRange(decoder.TakeSlot(), 0, 31); // a place that was given back, not a new one
    }

    [Fact]
    public async Task Two_engines_in_one_process_do_not_disturb_each_other()
    {
        using var first = Open(SmallGpt.Even);
        using var second = Open(SmallGpt.Odd, WeightStorage.Int8);
        var request = new GenerationRequest { Labels = Labels(20), Seed = 3 };
        var (one, two) = (first.Generate(request), second.Generate(request));
        for (var i = 0; i < 3; i++)
        {
            var beside = Task.Run(() => first.Generate(request));
            Assert.Equal(two, second.Generate(request));
            Assert.Equal(one, await beside);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void As_many_threads_compute_as_are_asked_for(int threads)
    {
        var config = SmallGpt.Even;
        using var decoder = GptDecoders.Create(config, SmallGpt.State(config), WeightStorage.Float32, maxRows: 2, threads);
        Assert.Equal(threads, decoder.Team.Size);
        var seen = new ConcurrentDictionary<int, bool>();
        for (var i = 0; i < 50 && seen.Count < threads; i++)
        {
            decoder.Team.Run(64, (_, _) =>
            {
                seen[Environment.CurrentManagedThreadId] = true;
                Thread.Sleep(1); // the others get their chance
            });
        }

        Assert.Equal(threads, seen.Count);
    }

    private static int[] Labels(int count) => [.. Enumerable.Range(0, count).Select(i => i % 3)];

    private static CpuGenerationEngine Open(GptConfig config, WeightStorage storage = WeightStorage.Float32)
        => CpuGenerationEngine.Open(SmallGpt.State(config), config, "test", storage, threads: 2);
}
