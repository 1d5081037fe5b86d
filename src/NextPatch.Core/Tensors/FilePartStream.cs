namespace NextPatch.Core.Tensors;

/// <summary>A part of a file, read only. Nothing is read ahead: callers take what they need, or buffer.</summary>
internal sealed class FilePartStream : Stream
{
    private readonly MappedFile _file;
    private readonly long _start;

    public FilePartStream(MappedFile file, long start, long length) => (_file, _start, Length) = (file, start, length);

    public override bool CanRead => true;

    public override bool CanSeek => true;

    public override bool CanWrite => false;

    public override long Length { get; }

    public override long Position { get; set; }

    public override int Read(Span<byte> buffer)
    {
        var part = buffer[..(int)Math.Clamp(Length - Position, 0, buffer.Length)];
        _file.Read(_start + Position, part);
        Position += part.Length;
        return part.Length;
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override long Seek(long offset, SeekOrigin origin) => Position = offset + origin switch
    {
        SeekOrigin.Begin => 0,
        SeekOrigin.Current => Position,
        _ => Length,
    };

    public override void Flush()
    {
    }

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
