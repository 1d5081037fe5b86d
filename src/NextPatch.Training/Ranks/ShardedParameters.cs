using System.Numerics;
using System.Runtime.InteropServices;
using NextPatch.Core.Tensors;
using NextPatch.Training.Optimization;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace NextPatch.Training.Ranks;

/// <summary>
/// The parameters of a model on several ranks. All ranks hold the weights; each sums the gradients, keeps the moments and the EMA, and makes the
/// update of its own piece of every bucket only (ZeRO, stage 1: arXiv 1910.02054). Gradients travel while the backward pass still computes others.
/// </summary>
internal sealed unsafe class ShardedParameters : IDisposable
{
    /// <summary>As in PyTorch's DistributedDataParallel, 25 MB.</summary>
    public const int FloatsPerBucket = 25_000_000 / sizeof(float);

    /// <summary>Buckets under way at once; each needs room for what is sent and received.</summary>
    public const int MostUnderWay = 3;

    private const int Kinds = 3; // of what is remembered: two moments and the average
    private const int NoMore = -1;

    private readonly ICommunicator _ranks;
    private readonly bool _asBf16;
    private readonly Bucket[] _buckets; // those whose gradients come first are first
    private readonly Dictionary<string, int> _bucketOf = [];
    private readonly string[] _names;
    private readonly Queue<(Bucket Bucket, nint Room, Transfer Transfer)> _underWay = [];
    private readonly Stack<nint> _rooms = [];
    private readonly (int Bucket, float[] Values)[] _fetched = [.. Enumerable.Repeat((NoMore, Array.Empty<float>()), Kinds)];
    private readonly long _half; // bytes of a room's first half: what is sent; the second is received
    private int _started;

    /// <param name="ranks">More than one.</param>
    /// <param name="parameters">In state order; the backward pass reaches them from the last to the first.</param>
    /// <param name="copies">Their bf16 copies by name.</param>
    /// <param name="hasAverage">Whether an EMA is kept.</param>
    /// <param name="asBf16">Whether gradients travel rounded to bf16; sums are float32 always.</param>
    /// <param name="floatsPerBucket">A bucket is closed when it has so many.</param>
    public ShardedParameters(
        ICommunicator ranks, IReadOnlyList<(string Name, Parameter Parameter)> parameters, IReadOnlyDictionary<string, Tensor> copies,
        bool hasAverage, bool asBf16, int floatsPerBucket = FloatsPerBucket)
    {
        (_ranks, _asBf16, _names) = (ranks, asBf16, [.. parameters.Select(p => p.Name)]);
        var (buckets, open, floats) = (new List<Bucket>(), new List<(string, Parameter, Tensor?)>(), 0L);
        foreach (var (name, parameter) in parameters.Reverse())
        {
            open.Add((name, parameter, copies.GetValueOrDefault(name)));
            floats += parameter.NumberOfElements;
            _bucketOf[name] = buckets.Count;
            if (floats >= floatsPerBucket || name == _names[0])
            {
                buckets.Add(new Bucket(open, ranks, hasAverage));
                (open, floats) = ([], 0);
            }
        }

        _buckets = [.. buckets];
        _half = _buckets.Max(b => (long)b.PieceLength) * ranks.Size * sizeof(float);
    }

    /// <summary>What the optimiser of this rank updates, by name.</summary>
    public IReadOnlyDictionary<string, OptimizerPart> Parts => _buckets.SelectMany(b => b.Members.Select(m => (Bucket: b, Member: m))).ToDictionary(
        p => p.Member.Name, p =>
        {
            var (start, inPiece, count) = p.Bucket.OwnPart(p.Member);
            Memory<float> Of(float[] piece) => piece.Length == 0 ? Memory<float>.Empty : piece.AsMemory(inPiece, count);
            return new OptimizerPart(
                start, Of(p.Bucket.FirstMoments), Of(p.Bucket.SecondMoments), Of(p.Bucket.Average),
                (nint)(float*)Marshal.UnsafeAddrOfPinnedArrayElement(p.Bucket.Gradients, inPiece));
        });

    /// <summary>The backward pass of this step's last micro-batch is done with the gradient of a parameter.</summary>
    public void GradientIsReady(string name)
    {
        if (_buckets[_bucketOf[name]].Arrives())
        {
            // In the order of buckets, whatever order the gradients come in: all ranks must begin the same transfers.
            for (; _started < _buckets.Length && _buckets[_started].IsComplete; _started++)
            {
                SendGradients(_buckets[_started]);
            }
        }
    }

    /// <summary>Sends what has not been sent, and waits until our pieces are summed. Begins the next step.</summary>
    public void SumGradients()
    {
        for (; _started < _buckets.Length; _started++)
        {
            SendGradients(_buckets[_started]);
        }

        while (_underWay.Count > 0)
        {
            TakeGradients();
        }

        _started = 0;
        Array.ForEach(_buckets, b => b.Reset());
    }

    /// <summary>Gives all ranks the weights that each has updated.</summary>
    public void SpreadWeights()
    {
        void Take()
        {
            var (bucket, room, transfer) = _underWay.Dequeue();
            transfer.Wait();
            bucket.UnpackWeights(room + (nint)_half);
            _rooms.Push(room);
        }

        foreach (var bucket in _buckets)
        {
            var room = Room(Take);
            bucket.PackOwnWeights(room);
            _underWay.Enqueue((bucket, room, _ranks.Begin(
                TransferKind.AllGather, room, room + (nint)_half, bucket.PieceLength * sizeof(float), "the weights after an update")));
        }

        while (_underWay.Count > 0)
        {
            Take();
        }
    }

    /// <summary>
    /// Lets rank 0 do what it does alone, such as writing a checkpoint, while the others give it what it asks for: <see cref="Moments"/> and
    /// <see cref="Average"/> may be read within <paramref name="action"/> only. All ranks call it.
    /// </summary>
    public void WithWriter(Action action)
    {
        if (_ranks.Rank == 0)
        {
            try
            {
                action();
            }
            finally
            {
                Ask(NoMore);
            }

            Array.Fill(_fetched, (NoMore, []));
            return;
        }

        for (int asked; (asked = Ask(NoMore)) != NoMore;)
        {
            Gather(asked, []);
        }
    }

    /// <summary>The moments of all ranks as a checkpoint has them, fetched as they are read; on rank 0.</summary>
    public IEnumerable<KeyValuePair<string, StoredTensor>> Moments()
    {
        foreach (var name in _names)
        {
            yield return new("exp_avg." + name, Remembered(name, 0));
            yield return new("exp_avg_sq." + name, Remembered(name, 1));
        }
    }

    /// <summary>The same of the EMA.</summary>
    public IEnumerable<KeyValuePair<string, StoredTensor>> Average() => _names.Select(name => KeyValuePair.Create(name, Remembered(name, 2)));

    public void Dispose()
    {
        foreach (var room in _rooms.Concat(_underWay.Select(u => u.Room)))
        {
            NativeMemory.AlignedFree((void*)room);
        }
    }

    private void SendGradients(Bucket bucket)
    {
        var room = Room(TakeGradients);
        bucket.PackGradients(room, _ranks.Size, _asBf16);
        var bytes = bucket.PieceLength * (_asBf16 ? sizeof(ushort) : sizeof(float));
        var transfer = _ranks.Begin(TransferKind.AllToAll, room, room + (nint)_half, bytes, "the gradients of a step");
        _underWay.Enqueue((bucket, room, transfer));
    }

    private void TakeGradients()
    {
        var (bucket, room, transfer) = _underWay.Dequeue();
        transfer.Wait();
        var length = bucket.PieceLength;
        var widened = _asBf16 ? new float[length] : [];
        for (var rank = 0; rank < _ranks.Size; rank++)
        {
            var received = (void*)(room + (nint)_half + ((nint)rank * transfer.Bytes));
            var piece = _asBf16 ? widened.AsSpan() : new Span<float>(received, length);
            if (_asBf16)
            {
                BFloat16.Widen(new ReadOnlySpan<ushort>(received, length), piece);
            }

            if (rank == 0)
            {
                piece.CopyTo(bucket.Gradients);
            }
            else
            {
                Add(piece, bucket.Gradients);
            }
        }

        _rooms.Push(room);
    }

    private static void Add(ReadOnlySpan<float> values, Span<float> to)
    {
        var from = MemoryMarshal.Cast<float, Vector<float>>(values); // pieces fill vectors
        var sums = MemoryMarshal.Cast<float, Vector<float>>(to);
        for (var i = 0; i < sums.Length; i++)
        {
            sums[i] += from[i];
        }
    }

    /// <summary>Room for a transfer; takes what has arrived first, and waits for the oldest where too many are under way.</summary>
    private nint Room(Action take)
    {
        while (_underWay.TryPeek(out var oldest) && (oldest.Transfer.IsDone || _underWay.Count >= MostUnderWay))
        {
            take();
        }

        return _rooms.TryPop(out var room) ? room : (nint)NativeMemory.AlignedAlloc((nuint)(2 * _half), 64);
    }

    private StoredTensor Remembered(string name, int kind)
    {
        var index = _bucketOf[name];
        var member = _buckets[index].Members.Single(m => m.Name == name);
        return StoredTensor.Generate(member.Parameter.shape, (first, part) =>
        {
            if (_fetched[kind].Bucket != index)
            {
                var room = _fetched[kind].Values is { Length: > 0 } before
                    ? before
                    : GC.AllocateUninitializedArray<float>((int)(_half / sizeof(float)));
                Gather(Ask((kind * _buckets.Length) + index), room);
                _fetched[kind] = (index, room);
            }

            _fetched[kind].Values.AsSpan(member.Offset + (int)first, part.Length).CopyTo(part);
        });
    }

    private int Ask(int what) => _ranks.Broadcast(what, "what rank 0 writes", isPatient: true);

    /// <param name="asked">Which bucket's, and of what.</param>
    /// <param name="room">On rank 0 for all pieces.</param>
    private void Gather(int asked, float[] room)
    {
        var bucket = _buckets[asked % _buckets.Length];
        var piece = (asked / _buckets.Length) switch { 0 => bucket.FirstMoments, 1 => bucket.SecondMoments, _ => bucket.Average };
        fixed (float* send = piece, receive = room)
        {
            _ranks.Begin(TransferKind.Gather, (nint)send, (nint)receive, piece.Length * sizeof(float), "moments for a checkpoint").Wait();
        }
    }
}
