using NextPatch.Core;

namespace NextPatch.Text.Tokens;

/// <summary>The fields of a protobuf message one after the other, within its bounds; nothing is copied.</summary>
/// <remarks>Source: protobuf's wire format. Groups, which it deprecates, are refused.</remarks>
/// <param name="message">Its bytes.</param>
/// <param name="path">Named in errors.</param>
internal readonly struct ProtobufFields(ReadOnlyMemory<byte> message, string path)
{
    /// <exception cref="DataFormatException">A field is cut off or of no known wire type.</exception>
    public IEnumerator<ProtobufField> GetEnumerator()
    {
        for (var at = 0; at < message.Length;)
        {
            var key = Varint(ref at);
            var (number, wire) = ((int)Math.Min(key >> 3, int.MaxValue), (int)(key & 7));
            switch (wire)
            {
                case 0:
                    yield return new ProtobufField(number, (long)Varint(ref at), -1, 0, path);
                    break;
                case 1 or 5:
                    var width = wire == 1 ? 8 : 4;
                    yield return new ProtobufField(number, 0, at, Take(ref at, (ulong)width), path);
                    break;
                case 2:
                    var length = Varint(ref at);
                    yield return new ProtobufField(number, 0, at, Take(ref at, length), path);
                    break;
                default:
                    throw Damaged($"field {number} has wire type {wire}");
            }
        }
    }

    private ulong Varint(ref int at)
    {
        var value = 0UL;
        for (var shift = 0; shift < 64; shift += 7)
        {
            if (at == message.Length)
            {
                break;
            }

            var part = message.Span[at++];
            value |= (ulong)(part & 127) << shift;
            if (part < 128)
            {
                return value;
            }
        }

        throw Damaged($"a number at byte {at} of {message.Length} does not end");
    }

    private int Take(ref int at, ulong length)
    {
        if (length > (ulong)(message.Length - at))
        {
            throw Damaged($"a field of {length} bytes where {message.Length - at} remain");
        }

        at += (int)length;
        return (int)length;
    }

    private DataFormatException Damaged(string what) => new($"'{path}' is no whole SentencePiece model: {what}. Fetch it again.");
}

/// <summary>A field: a number, or where its bytes lie.</summary>
internal readonly record struct ProtobufField(int Number, long Value, int Start, int Length, string Path)
{
    /// <summary>Its bytes.</summary>
    /// <param name="message">The message that it belongs to.</param>
    /// <param name="length">How many there must be; -1 for any number.</param>
    /// <exception cref="DataFormatException">It is a number, or of another length.</exception>
    public ReadOnlyMemory<byte> Bytes(ReadOnlyMemory<byte> message, int length = -1)
        => Start >= 0 && (length < 0 || length == Length) ? message.Slice(Start, Length) : throw new DataFormatException(
            $"'{Path}' is no whole SentencePiece model: field {Number} is of another kind than the format says. Fetch it again.");
}
