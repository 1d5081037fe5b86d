namespace NextPatch.Core.Tensors;

/// <summary>Another tensor, which says how many of its bytes are given out.</summary>
internal sealed class WatchedTensor : StoredTensor
{
    private readonly StoredTensor _source;
    private readonly Action<long> _onRead;

    public WatchedTensor(StoredTensor source, Action<long> onRead)
        : base(source.Type, source.Shape) => (_source, _onRead) = (source, onRead);

    public override void CopyTo(long offset, Span<byte> destination)
    {
        _source.CopyTo(offset, destination);
        _onRead(destination.Length);
    }

    public override bool TryGetSpan(long offset, int length, out ReadOnlySpan<byte> part)
    {
        if (!_source.TryGetSpan(offset, length, out part))
        {
            return false;
        }

        _onRead(length);
        return true;
    }
}
