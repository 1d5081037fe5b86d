using System.Text.Json;
using NextPatch.Core.Tensors;

namespace NextPatch.Core.Checkpoints.Safetensors;

/// <summary>Parses and validates the JSON header of a safetensors file.</summary>
internal sealed class SafetensorsHeaderParser
{
    private readonly string _path;
    private readonly long _dataStart;
    private readonly Dictionary<string, SafetensorsEntry> _entries = [];
    private Dictionary<string, string>? _metadata;

    /// <param name="path">What messages call the file.</param>
    /// <param name="dataStart">Bytes from the start of the file to the end of the header.</param>
    public SafetensorsHeaderParser(string path, long dataStart)
    {
        _path = path;
        _dataStart = dataStart;
    }

    /// <param name="json">The header, with its padding.</param>
    /// <param name="fileLength">Length of the whole file; the tensors must fill it exactly.</param>
    public SafetensorsHeader Parse(ReadOnlySpan<byte> json, long fileLength)
    {
        try
        {
            var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = 4 });
            ReadTop(ref reader);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // InvalidOperationException: text that is not valid UTF-8.
            throw Bad($"the header is not the expected JSON ({e.Message})", e);
        }

        CheckLayout(fileLength);
        return new SafetensorsHeader(_entries, _metadata ?? []);
    }

    internal static string NameOf(ElementType type) => type switch
    {
        ElementType.Bool => "BOOL",
        ElementType.UInt8 => "U8",
        ElementType.Int8 => "I8",
        ElementType.UInt16 => "U16",
        ElementType.Int16 => "I16",
        ElementType.UInt32 => "U32",
        ElementType.Int32 => "I32",
        ElementType.UInt64 => "U64",
        ElementType.Int64 => "I64",
        ElementType.Float16 => "F16",
        ElementType.BFloat16 => "BF16",
        ElementType.Float32 => "F32",
        ElementType.Float64 => "F64",
        ElementType.Float8E4M3 => "F8_E4M3",
        ElementType.Float8E5M2 => "F8_E5M2",
        ElementType.Complex64 => "C64",
        ElementType.Complex128 => "C128",
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "unknown element type"),
    };

    private void ReadTop(ref Utf8JsonReader reader)
    {
        Expect(ref reader, JsonTokenType.StartObject, "an object");
        while (NextKey(ref reader) is { } name)
        {
            if (name == "__metadata__")
            {
                ReadMetadata(ref reader);
            }
            else if (!_entries.TryAdd(name, ReadEntry(ref reader, name)))
            {
                throw Bad($"the tensor {StoredFile.Quote(name)} is declared twice");
            }
        }

        // Reads the padding; anything but white space is an error.
        reader.Read();
    }

    private void ReadMetadata(ref Utf8JsonReader reader)
    {
        if (_metadata is not null)
        {
            throw Bad("'__metadata__' is declared twice");
        }

        _metadata = [];
        Expect(ref reader, JsonTokenType.StartObject, "an object of strings");
        while (NextKey(ref reader) is { } key)
        {
            Expect(ref reader, JsonTokenType.String, "a string");
            if (!_metadata.TryAdd(key, reader.GetString()!))
            {
                throw Bad($"the metadata key {StoredFile.Quote(key)} is declared twice");
            }
        }
    }

    private SafetensorsEntry ReadEntry(ref Utf8JsonReader reader, string name)
    {
        ElementType? type = null;
        List<long>? shape = null;
        List<long>? offsets = null;
        Expect(ref reader, JsonTokenType.StartObject, "an object");
        while (NextKey(ref reader) is { } key)
        {
            switch (key)
            {
                case "dtype" when type is null:
                    Expect(ref reader, JsonTokenType.String, "an element type");
                    type = TypeOf(reader.GetString()!, name);
                    break;
                case "shape" when shape is null: shape = ReadIntegers(ref reader, StoredShape.MaxRank); break;
                case "data_offsets" when offsets is null: offsets = ReadIntegers(ref reader, 2); break;
                default: throw Bad($"the tensor {StoredFile.Quote(name)} has an unexpected or repeated key {StoredFile.Quote(key)}");
            }
        }

        if (type is null || shape is null || offsets is not [var begin, var end])
        {
            throw Bad($"the tensor {StoredFile.Quote(name)} needs 'dtype', 'shape' and two 'data_offsets'");
        }

        var needed = StoredShape.ByteCount($"{_path}: {name}", type.Value, shape);
        return begin >= 0 && end >= begin && end - begin == needed
            ? new SafetensorsEntry(name, type.Value, shape, begin, needed)
            : throw Bad($"the tensor {StoredFile.Quote(name)} of shape {HostTensor.Describe(shape)} needs {needed} bytes but lies at {begin} to "
                + $"{end}");
    }

    private List<long> ReadIntegers(ref Utf8JsonReader reader, int maxCount)
    {
        var values = new List<long>();
        Expect(ref reader, JsonTokenType.StartArray, "an array");
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            values.Add(reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out var value) && values.Count < maxCount
                ? value
                : throw Bad($"at most {maxCount} integers of 64 bits were expected (byte {reader.TokenStartIndex} of the header)"));
        }

        return values;
    }

    /// <summary>Tensors must lie end to end from the header to the end of the file. Makes offsets absolute.</summary>
    private void CheckLayout(long fileLength)
    {
        var at = 0L;
        foreach (var entry in _entries.Values.OrderBy(e => e.Offset).ThenBy(e => e.ByteCount).ToList())
        {
            if (entry.Offset != at)
            {
                throw Bad($"the tensor {StoredFile.Quote(entry.Name)} starts at byte {entry.Offset} of the data but the one before it ends at "
                    + $"{at}: tensors overlap or leave a hole");
            }

            // Bounded by the file length before the next addition, so the sum cannot overflow.
            if (entry.ByteCount > fileLength - _dataStart - at)
            {
                throw Bad($"the tensor {StoredFile.Quote(entry.Name)} ends beyond the {fileLength} bytes of the file, which is damaged or truncated");
            }

            at += entry.ByteCount;
            _entries[entry.Name] = entry with { Offset = _dataStart + entry.Offset };
        }

        if (_dataStart + at != fileLength)
        {
            throw Bad($"the tensors end at byte {_dataStart + at} but the file has {fileLength} bytes");
        }
    }

    private ElementType TypeOf(string text, string tensor)
    {
        foreach (var type in Enum.GetValues<ElementType>())
        {
            if (NameOf(type) == text)
            {
                return type;
            }
        }

        throw Bad($"the tensor {StoredFile.Quote(tensor)} has the element type {StoredFile.Quote(text)}, which is not understood");
    }

    /// <summary>The next key of the current object, or null at its end.</summary>
    private static string? NextKey(ref Utf8JsonReader reader)
    {
        reader.Read();
        return reader.TokenType == JsonTokenType.PropertyName ? reader.GetString() : null;
    }

    private void Expect(ref Utf8JsonReader reader, JsonTokenType token, string what)
    {
        if (!reader.Read() || reader.TokenType != token)
        {
            throw Bad($"{what} was expected at byte {reader.TokenStartIndex} of the header");
        }
    }

    private DataFormatException Bad(string problem, Exception? inner = null)
    {
        var message = $"'{_path}' is not a valid safetensors file: {problem}.";
        return inner is null ? new DataFormatException(message) : new DataFormatException(message, inner);
    }
}
