namespace NextPatch.Training.Ranks;

/// <summary>A process by itself.</summary>
internal sealed unsafe class SingleRank : ICommunicator
{
    public static readonly SingleRank Instance = new();

    public int Rank => 0;

    public int Size => 1;

    public Transfer Begin(TransferKind kind, nint send, nint receive, int bytes, string what, bool isPatient = false)
    {
        if (send != receive)
        {
            Buffer.MemoryCopy((void*)send, (void*)receive, bytes, bytes);
        }

        var transfer = new Transfer(kind, send, receive, bytes, what, isPatient);
        transfer.End();
        return transfer;
    }

    public void Abort(int exitCode)
    {
    }

    public void Dispose()
    {
    }
}
