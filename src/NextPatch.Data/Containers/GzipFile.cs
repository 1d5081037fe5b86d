using System.IO.Compression;
using NextPatch.Core.Files;

namespace NextPatch.Data.Containers;

/// <summary>
/// A gzip file, unpacked as it is read, which is told from one that was cut short: the platform's reader takes any end for the end.
/// </summary>
/// <remarks>
/// A member of known content is read behind the file, as gzip allows. Where it does not come out last, the file ended within a member, or something
/// else lies behind its end. The checksums are the platform's work.
/// </remarks>
internal sealed class GzipFile : ForwardStream
{
    private static readonly byte[] Mark = "NextPatch: the end was reached"u8.ToArray();
    private static readonly byte[] MarkMember = Packed(Mark);

    private readonly GZipStream _source;
    private readonly byte[] _ahead = new byte[Mark.Length];
    private int _held;

    public GzipFile(Stream file) => _source = new GZipStream(new Followed(file, MarkMember), CompressionMode.Decompress);

    /// <inheritdoc/>
    /// <exception cref="InvalidDataException">Damaged, cut short, or followed by something else.</exception>
    public override int Read(Span<byte> buffer)
    {
        if (buffer.IsEmpty)
        {
            return 0;
        }

        // The last bytes are held back: they may be the mark.
        _held += _source.ReadAtLeast(_ahead.AsSpan(_held), _ahead.Length - _held, throwOnEndOfStream: false);
        var got = _held == _ahead.Length ? _source.Read(buffer) : 0;
        if (got == 0)
        {
            return _ahead.AsSpan(0, _held).SequenceEqual(Mark)
                ? 0
                : throw new InvalidDataException("it is cut short, or something else follows its end");
        }

        // What is given out is what was held back, then what was read less as many bytes.
        var read = buffer[..got].ToArray();
        var moved = Math.Min(got, _ahead.Length);
        _ahead.AsSpan(0, moved).CopyTo(buffer);
        read.AsSpan(0, got - moved).CopyTo(buffer[moved..]);
        _ahead.AsSpan(moved).CopyTo(_ahead);
        read.AsSpan(got - moved).CopyTo(_ahead.AsSpan(_ahead.Length - moved));
        return got;
    }

    protected override void Dispose(bool disposing)
    {
        _source.Dispose();
        base.Dispose(disposing);
    }

    private static byte[] Packed(byte[] content)
    {
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest))
        {
            gzip.Write(content);
        }

        return packed.ToArray();
    }

    /// <summary>A stream, then some bytes.</summary>
    private sealed class Followed(Stream first, byte[] then) : ForwardStream
    {
        private int _given;

        public override int Read(Span<byte> buffer)
        {
            if (first.Read(buffer) is var got and > 0)
            {
                return got;
            }

            var part = then.AsSpan(_given, Math.Min(buffer.Length, then.Length - _given));
            part.CopyTo(buffer);
            _given += part.Length;
            return part.Length;
        }

        protected override void Dispose(bool disposing)
        {
            first.Dispose();
            base.Dispose(disposing);
        }
    }
}
