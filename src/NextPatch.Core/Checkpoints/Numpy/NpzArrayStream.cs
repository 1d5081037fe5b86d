using NextPatch.Core.Checkpoints.Zip;

namespace NextPatch.Core.Checkpoints.Numpy;

/// <summary>Takes the elements of one array of an archive, and no more than its shape needs.</summary>
internal sealed class NpzArrayStream : Stream
{
    private readonly StoredZipWriter _archive;
    private readonly string _name;
    private readonly long _expected;
    private long _written;
    private bool _closed;

    public NpzArrayStream(StoredZipWriter archive, string name, long expected)
    {
        _archive = archive;
        _name = name;
        _expected = expected;
    }

    /// <summary>Closed with every byte written.</summary>
    public bool IsWhole => _closed && _written == _expected;

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => !_closed;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => _written;
        set => throw new NotSupportedException();
    }

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        if (buffer.Length > _expected - _written)
        {
            throw new InvalidOperationException($"Array '{_name}' takes {_expected} bytes but {_written + buffer.Length} were written.");
        }

        _archive.Write(buffer);
        _written += buffer.Length;
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing && !_closed)
        {
            _closed = true;
            _archive.End();
        }

        base.Dispose(disposing);
    }
}
