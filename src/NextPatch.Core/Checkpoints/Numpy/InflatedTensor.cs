using NextPatch.Core.Checkpoints.Zip;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Checkpoints.Numpy;

/// <summary>A deflated member of a NumPy archive: inflated whole when it is read, and kept while it is read in parts.</summary>
internal sealed class InflatedTensor : StoredTensor
{
    private readonly StoredZip _zip;
    private readonly string _member;
    private readonly NpyHeader _header;
    private readonly WeakReference<HostTensor?> _content = new(null);

    public InflatedTensor(StoredZip zip, string member, NpyHeader header)
        : base(header.Type, header.Shape)
    {
        _zip = zip;
        _member = member;
        _header = header;
    }

    public override void CopyTo(long offset, Span<byte> destination)
    {
        if (!_content.TryGetTarget(out var content))
        {
            content = _header.Decode(_zip.Read(_member, _header.DataOffset + _header.ByteCount).AsMemory(_header.DataOffset));
            _content.SetTarget(content);
        }

        content.Bytes.Span.Slice((int)offset, destination.Length).CopyTo(destination);
    }
}
