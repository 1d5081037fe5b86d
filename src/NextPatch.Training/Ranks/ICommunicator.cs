using NextPatch.Core;

namespace NextPatch.Training.Ranks;

/// <summary>
/// The processes (ranks) that compute one run together. All of them begin the same transfers in the same order. Transfers only move bytes: sums are
/// formed here, in the order of ranks, so that they do not depend on timing or on what carries the bytes.
/// </summary>
internal interface ICommunicator : IDisposable
{
    /// <summary>This process, from 0; rank 0 writes and speaks.</summary>
    int Rank { get; }

    /// <summary>How many there are.</summary>
    int Size { get; }

    /// <summary>Starts a transfer and returns; its buffers must stay as they are until it is done.</summary>
    /// <param name="kind">What goes where.</param>
    /// <param name="send">What this rank gives.</param>
    /// <param name="receive">Where it gets.</param>
    /// <param name="bytes">Bytes of a part: what one rank gives another.</param>
    /// <param name="what">Named when it does not come to an end: "the gradients".</param>
    /// <param name="isPatient">Whether rank 0 works alone before it, as long as that takes.</param>
    Transfer Begin(TransferKind kind, nint send, nint receive, int bytes, string what, bool isPatient = false);

    /// <summary>Ends all ranks at once with this exit code. Does not return where there are others.</summary>
    void Abort(int exitCode);
}

/// <summary>What goes where. The parts lie in the order of ranks.</summary>
internal enum TransferKind
{
    /// <summary>Part i of every rank's [Size] parts goes to rank i, which gets [Size] parts.</summary>
    AllToAll,

    /// <summary>Every rank's part goes to all: each gets [Size] parts.</summary>
    AllGather,

    /// <summary>Every rank's part goes to rank 0, which gets [Size] parts.</summary>
    Gather,

    /// <summary>Rank 0's part goes to all; each gets it in its <c>receive</c>, where rank 0 gives it too.</summary>
    Broadcast,
}

/// <summary>A transfer under way.</summary>
internal sealed class Transfer(TransferKind kind, nint send, nint receive, int bytes, string what, bool isPatient)
{
    private readonly TaskCompletionSource _done = new();

    public TransferKind Kind => kind;

    public nint Send => send;

    public nint Receive => receive;

    public int Bytes => bytes;

    public string What => what;

    public bool IsPatient => isPatient;

    /// <summary>Whether a thread waits for it.</summary>
    public bool IsAwaited { get; private set; }

    public bool IsDone => _done.Task.IsCompleted;

    public void End(Exception? failure = null) => _ = failure is null ? _done.TrySetResult() : _done.TrySetException(failure);

    /// <exception cref="RankFailureException">It failed.</exception>
    public void Wait()
    {
        IsAwaited = true;
        _done.Task.GetAwaiter().GetResult();
    }
}

/// <summary>Ranks of a run are not, or no longer, computing the same thing.</summary>
internal sealed class RankFailureException(string message) : NextPatchException(message);
