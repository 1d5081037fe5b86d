using CsCheck;
using NextPatch.Kernels.Threading;
using NextPatch.Torch.Loading;
using static TorchSharp.torch;

namespace NextPatch.Torch.Tests.Kernels;

/// <summary>Work is shared among libtorch's threads without loss.</summary>
public sealed class ParallelRowsTests : IDisposable
{
    private readonly int _threads;

    public ParallelRowsTests()
    {
        NativeBackend.EnsureLoaded();
        _threads = get_num_threads();
        set_num_threads(3);
    }

    public void Dispose() => set_num_threads(_threads);

    [Fact]
    public void Every_row_is_done_once()
        => Gen.Select(Gen.Int[1, 300], Gen.Long[1_000, 1 << 20]).Sample((rows, cost) =>
        {
            var done = new int[rows];
            ParallelRows.Run(rows, cost, (first, end) =>
            {
                for (var row = first; row < end; row++)
                {
                    Interlocked.Increment(ref done[row]);
                    Thread.SpinWait(5); // so that the threads meet
                }
            });
            Assert.DoesNotContain(done, count => count != 1);
        }, iter: 5_000);

    [Fact]
    public void Threads_of_libtorch_take_part()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "GNU OpenMP comes with libtorch on Linux.");
        Assert.NotEqual(0, ParallelRows.OpenMpParallel);
        using var everyone = new Barrier(3);
        ParallelRows.Run(3, 1 << 20, (_, _) => Assert.True(everyone.SignalAndWait(TimeSpan.FromSeconds(20))));
    }

    [Fact]
    public void A_failure_on_another_thread_arrives_and_the_team_works_on()
    {
        var caller = Environment.CurrentManagedThreadId;
        using var everyone = new Barrier(3);
        var failure = Assert.Throws<InvalidDataException>(() => ParallelRows.Run(3, 1 << 20, (first, _) =>
        {
            everyone.SignalAndWait();
            if (Environment.CurrentManagedThreadId != caller)
            {
                throw new InvalidDataException($"row {first}");
            }
        }));
        Assert.StartsWith("row", failure.Message, StringComparison.Ordinal);
        Every_row_is_done_once();
    }
}
