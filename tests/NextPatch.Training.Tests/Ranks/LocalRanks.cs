using System.Runtime.ExceptionServices;
using NextPatch.Training.Ranks;

namespace NextPatch.Training.Tests.Ranks;

/// <summary>Ranks that are threads of this process: the arithmetic of a run on several processes, without MPI.</summary>
internal sealed class LocalRanks
{
    private readonly Dictionary<long, Transfer?[]> _transfers = [];
    private readonly int _size;
    private Exception? _failure;

    private LocalRanks(int size) => _size = size;

    /// <summary>Runs a body on so many ranks; what one of them throws ends the others, and is thrown.</summary>
    /// <returns>What each returned.</returns>
    public static T[] Run<T>(int size, Func<ICommunicator, T> body)
    {
        var (ranks, results) = (new LocalRanks(size), new T[size]);
        var threads = Enumerable.Range(0, size).Select(rank => new Thread(() =>
        {
            try
            {
                results[rank] = body(new Member(ranks, rank));
            }
#pragma warning disable CA1031 // Thrown below, on the test's thread.
            catch (Exception e)
#pragma warning restore CA1031
            {
                ranks.Fail(e);
            }
        })).ToArray();
        Array.ForEach(threads, t => t.Start());
        Array.ForEach(threads, t => t.Join());
        if (ranks._failure is { } failure)
        {
            ExceptionDispatchInfo.Throw(failure);
        }

        return results;
    }

    private void Fail(Exception e)
    {
        lock (_transfers)
        {
            _failure ??= e;
            foreach (var transfer in _transfers.Values.SelectMany(t => t).OfType<Transfer>())
            {
                transfer.End(new RankFailureException("another rank failed"));
            }
        }
    }

    private Transfer Begin(int rank, long number, Transfer transfer)
    {
        lock (_transfers)
        {
            if (_failure is not null)
            {
                transfer.End(new RankFailureException("another rank failed"));
                return transfer;
            }

            if (!_transfers.TryGetValue(number, out var all))
            {
                _transfers[number] = all = new Transfer?[_size];
            }

            all[rank] = transfer;
            if (all.All(t => t is not null))
            {
                Carry(all!);
                _transfers.Remove(number);
            }
        }

        return transfer;
    }

    private static unsafe void Carry(Transfer[] all)
    {
        Assert.All(all, t => Assert.Equal((all[0].Kind, all[0].Bytes, all[0].What), (t.Kind, t.Bytes, t.What)));
        nint bytes = all[0].Bytes;
        void Copy(nint from, nint to) => Buffer.MemoryCopy((void*)from, (void*)to, bytes, bytes);
        for (var to = 0; to < all.Length; to++)
        {
            for (var from = 0; from < all.Length; from++)
            {
                switch (all[0].Kind)
                {
                    case TransferKind.AllToAll:
                        Copy(all[from].Send + (to * bytes), all[to].Receive + (from * bytes));
                        break;
                    case TransferKind.AllGather:
                    case TransferKind.Gather when to == 0:
                        Copy(all[from].Send, all[to].Receive + (from * bytes));
                        break;
                    case TransferKind.Broadcast when from == 0 && to > 0:
                        Copy(all[0].Receive, all[to].Receive);
                        break;
                }
            }
        }

        Array.ForEach(all, t => t.End());
    }

    private sealed class Member(LocalRanks ranks, int rank) : ICommunicator
    {
        private long _number;

        public int Rank => rank;

        public int Size => ranks._size;

        public Transfer Begin(TransferKind kind, nint send, nint receive, int bytes, string what, bool isPatient = false)
            => ranks.Begin(rank, _number++, new Transfer(kind, send, receive, bytes, what, isPatient));

        public void Abort(int exitCode) => throw new InvalidOperationException($"aborted with {exitCode}");

        public void Dispose()
        {
        }
    }
}
