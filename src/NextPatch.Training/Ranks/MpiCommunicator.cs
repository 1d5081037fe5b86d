using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.InteropServices;
using NextPatch.Core;

namespace NextPatch.Training.Ranks;

/// <summary>
/// Ranks over MPI. One thread initialises the library and makes all its calls, so that transfers move on while others compute and any library will
/// do; it asks for progress instead of waiting in the library, so that it leaves the processor to those and notices who does not come.
/// </summary>
internal sealed partial class MpiCommunicator : ICommunicator
{
    /// <summary>Exit code of a run that lost a rank: start it again (EX_TEMPFAIL of sysexits.h).</summary>
    public const int LostRank = 75;

    private const int PatientFactor = 12;
    private const int LateTag = 75;
    private const int BusyPolls = 20;
    private static readonly TimeSpan AnswerTime = TimeSpan.FromSeconds(2);

    private readonly BlockingCollection<Transfer> _work = [];
    private readonly Thread _thread;
    private readonly MpiLibrary _library;
    private readonly TimeSpan _limit;
    private readonly Action<NextPatchException> _say;
    private readonly TaskCompletionSource _initialised = new();
    private int _abortCode = -1;
    private long _number;

    private MpiCommunicator(MpiLibrary library, TimeSpan limit, Action<NextPatchException> say)
    {
        (_library, _limit, _say) = (library, limit, say);
        _thread = new Thread(Work) { IsBackground = true, Name = "MPI" };
        _thread.Start();
        _initialised.Task.GetAwaiter().GetResult();
    }

    public int Rank { get; private set; }

    public int Size { get; private set; }

    /// <summary>The library's own words.</summary>
    public string Version => _library.Version;

    /// <summary>Joins the ranks that were started together.</summary>
    /// <param name="environment">What the launcher says; null where the process was started alone.</param>
    /// <param name="libraryPath">The library to use; null = the launcher's, else the first that is found.</param>
    /// <param name="limit">How long a rank waits for another before all are ended.</param>
    /// <param name="say">Receives what a person must know before all are ended.</param>
    /// <returns><see cref="SingleRank"/> for a process that was started alone, without <paramref name="libraryPath"/>.</returns>
    /// <exception cref="NextPatchException">There is no library, or it sees another number of ranks than the launcher started.</exception>
    public static ICommunicator Open(
        LaunchEnvironment? environment, string? libraryPath, TimeSpan limit, Action<NextPatchException> say)
    {
        if (libraryPath is null && environment is null or { Size: 1 })
        {
            return SingleRank.Instance;
        }

        var library = MpiLibrary.Load(libraryPath, environment?.Libraries ?? LaunchEnvironment.AllLibraries) ?? throw new NextPatchException(
            $"{environment!.Launcher} started {environment.Size} processes, but none of the MPI libraries "
            + $"{string.Join(", ", environment.Libraries.Distinct())} is found. Install the one that it belongs to, or name its file with "
            + "MpiLibrary.")
        { Settings = ["MpiLibrary"] };
        var ranks = new MpiCommunicator(library, limit, say);
        if (environment is not null && ranks.Size != environment.Size)
        {
            var size = ranks.Size;
            ranks.Dispose();
            throw new NextPatchException(
                $"{environment.Launcher} started {environment.Size} processes, but {library.Path} ({library.Version}) sees {size}: it is not the MPI "
                + $"that started them, and {environment.Size} runs would write into one folder. Start with the mpirun of that library, name the "
                + "launcher's library with MpiLibrary, or under SLURM choose its kind: srun --mpi=pmix (srun --mpi=list shows which there are).")
            { Settings = ["MpiLibrary"] };
        }

        return ranks;
    }

    public Transfer Begin(TransferKind kind, nint send, nint receive, int bytes, string what, bool isPatient = false)
    {
        var transfer = new Transfer(kind, send, receive, bytes, what, isPatient);
        _work.Add(transfer);
        return transfer;
    }

    public void Abort(int exitCode)
    {
        Volatile.Write(ref _abortCode, exitCode);
        _work.CompleteAdding();
        _thread.Join(TimeSpan.FromSeconds(10)); // the library does not return from it
        Environment.Exit(exitCode);
    }

    /// <summary>Waits for the others to come here too.</summary>
    public void Dispose()
    {
        _work.CompleteAdding();
        _thread.Join();
        _work.Dispose();
    }

    private void Work()
    {
        try
        {
            _library.Initialize();
            (Rank, Size) = (_library.Rank(), _library.Size());
            _initialised.SetResult();
        }
#pragma warning disable CA1031 // What initialising throws belongs to who waits for it.
        catch (Exception e)
#pragma warning restore CA1031
        {
            _initialised.SetException(e);
            return;
        }

        foreach (var transfer in _work.GetConsumingEnumerable())
        {
            AbortIfAsked();
            try
            {
                Carry(transfer);
                transfer.End();
            }
            catch (RankFailureException e)
            {
                transfer.End(e);
            }
        }

        AbortIfAsked();
        _library.Shutdown();
    }

    private void Carry(Transfer transfer)
    {
        _number++;
        var request = _library.Start(transfer);
        var (started, limit) = (Stopwatch.GetTimestamp(), transfer.IsPatient ? _limit * PatientFactor : _limit);
        for (var polls = 0; !_library.IsDone(ref request); polls++)
        {
            AbortIfAsked();
            if (Stopwatch.GetElapsedTime(started) > limit)
            {
                GiveUp(transfer, limit);
            }

            Rest(transfer, polls);
        }
    }

    private static void Rest(Transfer transfer, int polls)
    {
        if (transfer.IsAwaited && polls < BusyPolls)
        {
            Thread.Yield();
        }
        else
        {
            _ = Sleep(transfer.IsAwaited ? 20u : 300u);
        }
    }

    /// <summary>
    /// A rank that waited too long tells rank 0 so; whoever does not is the one that all wait for. Rank 0 says who it was and ends all. Where it
    /// does not, it is the one itself.
    /// </summary>
    private void GiveUp(Transfer transfer, TimeSpan limit)
    {
        var number = _number;
        var where = $"'{transfer.What}' (transfer {number})";
        if (Rank != 0)
        {
            var copy = GC.AllocateArray<long>(1, pinned: true);
            copy[0] = number;
            var told = _library.StartSend(Marshal.UnsafeAddrOfPinnedArrayElement(copy, 0), sizeof(long), 0, LateTag);
            Poll(limit, () => _library.IsDone(ref told));
            End($"Rank {Rank} on {Environment.MachineName} waited {limit.TotalSeconds * 2:F0} s for {where}, and rank 0 does not answer: it "
                + "hangs, or its machine is lost.");
        }

        var numbers = GC.AllocateArray<long>(Size, pinned: true);
        var requests = new nint[Size];
        for (var rank = 1; rank < Size; rank++)
        {
            requests[rank] = _library.StartReceive(Marshal.UnsafeAddrOfPinnedArrayElement(numbers, rank), sizeof(long), rank, LateTag);
        }

        Poll(AnswerTime, () =>
        {
            for (var rank = 1; rank < Size; rank++)
            {
                _library.IsDone(ref requests[rank]); // of one that is done it says so again
            }
        });

        // Who is silent hangs. Others may wait elsewhere: for the silent one, where the message to them was ready earlier than ours; or, where nobody
        // is silent, because the ranks do different things.
        var elsewhere = Enumerable.Range(1, Size - 1).Where(rank => numbers[rank] != number).ToArray();
        var silent = elsewhere.Where(rank => numbers[rank] == 0).ToArray();
        var missing = silent.Length > 0 ? silent : elsewhere;
        var others = elsewhere.Where(rank => numbers[rank] != 0).Select(rank => $" Rank {rank} waits in transfer {numbers[rank]}.");
        End($"{(missing.Length == 1 ? "Rank" : "Ranks")} {string.Join(", ", missing)} did not come to {where} within {limit.TotalSeconds:F0} s: "
            + $"hung, stopped, or on a machine that is lost.{string.Concat(others)}");
    }

    private void End(string sentence)
    {
        _say(new RankFailureException($"{sentence} All ranks end now with exit code {LostRank}; start the run again with Resume.")
        {
            Settings = ["Resume"],
        });
        _library.Abort(LostRank);
        Environment.Exit(LostRank);
    }

    private static void Poll(TimeSpan time, Action move)
    {
        for (var started = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(started) < time; Thread.Sleep(1))
        {
            move();
        }
    }

    private void AbortIfAsked()
    {
        if (Volatile.Read(ref _abortCode) is >= 0 and var code)
        {
            _library.Abort(code);
        }
    }

    [LibraryImport("libc", EntryPoint = "usleep")]
    private static partial int Sleep(uint microseconds);
}
