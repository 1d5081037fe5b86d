using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace NextPatch.Kernels.Threading;

/// <summary>Shares independent rows among threads. Results never depend on how many those are.</summary>
/// <remarks>
/// They are libtorch's own threads where it is loaded and those are GNU OpenMP's. With two pools the threads of one, waiting for their next work,
/// spin on the cores that the other needs: in bf16, where products are libtorch's, norms then took twice as long (docs/log.md).
/// </remarks>
internal static unsafe class ParallelRows
{
    /// <summary>Work below which waking another thread costs more than it gives.</summary>
    private const int ElementsPerPart = 1 << 14;

    /// <summary>Parts per thread, so that one that is held up by another process does not hold up all.</summary>
    private const int PartsPerThread = 4;

    /// <summary>Work that is a part by itself: sharing such rows beforehand could only share them unevenly.</summary>
    private const long LongRow = 1 << 20;

    /// <summary>How many threads there are, asked before each call; what loads libtorch gives its number.</summary>
    public static Func<int> CountThreads { get; set; } = () => Environment.ProcessorCount;

    /// <summary>
    /// GNU OpenMP's entry for a region that all threads of a team run, as libtorch's own code calls it; 0 where .NET's pool does the work.
    /// </summary>
    public static nint OpenMpParallel { get; set; }

    /// <param name="rows">Number of rows; of none nothing is called.</param>
    /// <param name="elementsPerRow">Cost of one.</param>
    /// <param name="part">Does rows [first, end).</param>
    public static void Run(int rows, long elementsPerRow, Action<int, int> part)
    {
        if (rows == 0)
        {
            return;
        }

        var threads = CountThreads();
        var most = elementsPerRow < LongRow ? Math.Min(rows, threads * PartsPerThread) : rows;
        var parts = (int)Math.Clamp(rows * elementsPerRow / ElementsPerPart, 1, most);
        if (parts == 1 || threads == 1)
        {
            part(0, rows);
            return;
        }

        var team = new Team(parts, i => part((int)((long)rows * i / parts), (int)((long)rows * (i + 1) / parts)));
        var parallel = (delegate* unmanaged[Cdecl]<delegate* unmanaged[Cdecl]<nint, void>, nint, uint, uint, void>)OpenMpParallel;
        if (parallel == null)
        {
            Parallel.For(0, Math.Min(threads, parts), _ => team.Work());
        }
        else
        {
            using var handle = new GCHandle<Team>(team);
            parallel(&Join, GCHandle<Team>.ToIntPtr(handle), (uint)Math.Min(threads, parts), 0);
        }

        team.ThrowIfFailed();
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Join(nint team) => GCHandle<Team>.FromIntPtr(team).Target.Work();

    /// <summary>What the threads of a region share: each takes the next part until none is left.</summary>
    private sealed class Team(int parts, Action<int> part)
    {
        private int _next;
        private Exception? _failure;

        public void Work()
        {
            try
            {
                for (var i = Interlocked.Increment(ref _next) - 1; i < parts; i = Interlocked.Increment(ref _next) - 1)
                {
                    part(i);
                }
            }
            catch (Exception e) // may not leave through native frames
            {
                _failure = e;
            }
        }

        public void ThrowIfFailed()
        {
            if (_failure is not null)
            {
                ExceptionDispatchInfo.Throw(_failure);
            }
        }
    }
}
