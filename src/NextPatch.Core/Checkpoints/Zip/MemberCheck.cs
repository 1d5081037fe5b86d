using System.IO.Hashing;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Checkpoints.Zip;

/// <summary>
/// Compares a stored member of an archive with its checksum, once. A reader who takes it in order from its start is told of damage
/// with the last part, so that the file is read once; a part out of order is given out only after all of the member was checked.
/// </summary>
internal sealed class MemberCheck : IReadCheck
{
    private readonly StoredZip _zip;
    private readonly ZipMember _member;
    private readonly int _headerBytes;
    private readonly Crc32 _running = new();
    private long _next; // byte of the elements; -1 where they are a part of the member

    /// <param name="zip">The archive.</param>
    /// <param name="member">Stored, not deflated.</param>
    /// <param name="headerBytes">Bytes of the member before the elements.</param>
    /// <param name="elementBytes">Bytes of the elements; where these are not the rest of the member, order does not matter.</param>
    public MemberCheck(StoredZip zip, ZipMember member, int headerBytes, long elementBytes)
    {
        _zip = zip;
        _member = member;
        _headerBytes = headerBytes;
        _next = headerBytes + elementBytes == member.StoredLength ? 0 : -1;
    }

    public void Whole() => _zip.Verify(_member);

    public void Before(long offset)
    {
        lock (_running)
        {
            if (offset != _next)
            {
                Whole();
            }
        }
    }

    public void After(long offset, ReadOnlySpan<byte> part)
    {
        lock (_running)
        {
            if (offset != _next || _zip.IsVerified(_member))
            {
                return;
            }

            if (offset == 0)
            {
                _running.Append(_zip.File.Read(_zip.OffsetOf(_member), _headerBytes));
            }

            _running.Append(part);
            _next += part.Length;
            if (_next == _member.StoredLength - _headerBytes)
            {
                _zip.Accept(_member, _running.GetCurrentHashAsUInt32());
            }
        }
    }
}
