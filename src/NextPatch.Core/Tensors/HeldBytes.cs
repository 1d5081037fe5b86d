namespace NextPatch.Core.Tensors;

/// <summary>Bytes of a mapped file, which stay where they are until this is disposed, whoever closes the file meanwhile.</summary>
/// <param name="start">The first of them.</param>
/// <param name="release">Lets the file go.</param>
internal sealed unsafe class HeldBytes(byte* start, Action release) : IDisposable
{
    private Action? _release = release;

    public byte* Start => start;

    public void Dispose() => Interlocked.Exchange(ref _release, null)?.Invoke();
}
