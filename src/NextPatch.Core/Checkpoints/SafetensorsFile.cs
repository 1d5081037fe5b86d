using System.Buffers.Binary;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace NextPatch.Core.Checkpoints;

/// <summary>safetensors files: an 8-byte length, a JSON header of that length, then the tensors end to end.</summary>
/// <remarks>Source: the format section of huggingface/safetensors. Reading is as strict as the reference reader.</remarks>
public static class SafetensorsFile
{
    private const int LengthBytes = 8;
    private const int MaxHeaderBytes = 100_000_000;

    /// <summary>Reads every tensor into memory, in the order of the header.</summary>
    /// <exception cref="DataFormatException">The file is damaged or not a safetensors file.</exception>
    public static IReadOnlyDictionary<string, HostTensor> Read(string path)
    {
        using var stream = StoredFile.OpenRead(path);
        return ReadHeader(stream, path).Entries.Values.ToDictionary(e => e.Name, e => ReadTensor(stream, path, e));
    }

    /// <summary>Reads and validates the header only; costs nothing for large files.</summary>
    /// <exception cref="DataFormatException">The file is damaged or not a safetensors file.</exception>
    public static SafetensorsHeader ReadHeader(string path)
    {
        using var stream = StoredFile.OpenRead(path);
        return ReadHeader(stream, path);
    }

    /// <summary>Reads one tensor.</summary>
    /// <param name="path">The file whose header <paramref name="entry"/> comes from.</param>
    /// <param name="entry">An entry of <see cref="ReadHeader(string)"/>.</param>
    /// <exception cref="DataFormatException">The file has become shorter.</exception>
    public static HostTensor ReadTensor(string path, SafetensorsEntry entry)
    {
        using var stream = StoredFile.OpenRead(path);
        return ReadTensor(stream, path, entry);
    }

    /// <summary>Writes tensors in the order given and flushes them to the disk. The same input gives the same bytes.</summary>
    /// <param name="path">Replaced if it exists.</param>
    /// <param name="tensors">Tensors by name; names must differ.</param>
    /// <param name="metadata">Free text pairs for "__metadata__"; null or empty writes none.</param>
    /// <exception cref="ArgumentException">Two tensors share a name, or one has the reserved name.</exception>
    /// <exception cref="NextPatchException">The file cannot be written.</exception>
    public static void Write(string path, IEnumerable<KeyValuePair<string, HostTensor>> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        var list = tensors.ToList();
        var header = HeaderBytes(list, metadata);
        using var stream = StoredFile.Create(path);
        Span<byte> length = stackalloc byte[LengthBytes];
        BinaryPrimitives.WriteInt64LittleEndian(length, header.Length);
        stream.Write(length);
        stream.Write(header);
        foreach (var (_, tensor) in list)
        {
            stream.Write(tensor.Bytes.Span);
        }

        stream.Flush(flushToDisk: true);
    }

    private static SafetensorsHeader ReadHeader(FileStream stream, string path)
    {
        var length = BinaryPrimitives.ReadUInt64LittleEndian(StoredFile.ReadBytes(stream, LengthBytes, path, "the safetensors header"));
        if (length > MaxHeaderBytes)
        {
            throw new DataFormatException($"'{path}' is not a safetensors file: it declares a header of {length} bytes, at most {MaxHeaderBytes} are allowed.");
        }

        var json = StoredFile.ReadBytes(stream, (int)length, path, "the safetensors header");
        return new SafetensorsHeaderParser(path, LengthBytes + (long)length).Parse(json, stream.Length);
    }

    private static HostTensor ReadTensor(FileStream stream, string path, SafetensorsEntry entry)
    {
        var shown = $"{path}: {entry.Name}";
        stream.Position = entry.Offset;
        var count = StoredShape.ByteCountInMemory(shown, entry.Type, entry.Shape);
        return new HostTensor(entry.Type, entry.Shape, StoredFile.ReadBytes(stream, count, shown, "the tensor"));
    }

    private static byte[] HeaderBytes(List<KeyValuePair<string, HostTensor>> tensors, IReadOnlyDictionary<string, string>? metadata)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            WriteMetadata(json, metadata);
            var names = new HashSet<string> { "__metadata__" };
            var offset = 0L;
            foreach (var (name, tensor) in tensors)
            {
                if (!names.Add(name))
                {
                    throw new ArgumentException($"The tensor name '{name}' is used twice or reserved.", nameof(tensors));
                }

                WriteEntry(json, name, tensor, offset);
                offset += tensor.Bytes.Length;
            }

            json.WriteEndObject();
        }

        // The reference writer pads with spaces so that the data start at a multiple of eight.
        while (buffer.Length % 8 != 0)
        {
            buffer.WriteByte((byte)' ');
        }

        return buffer.ToArray();
    }

    private static void WriteMetadata(Utf8JsonWriter json, IReadOnlyDictionary<string, string>? metadata)
    {
        if (metadata is not { Count: > 0 })
        {
            return;
        }

        // Sorted, because the order of a dictionary is not part of its value.
        json.WriteStartObject("__metadata__");
        foreach (var (key, value) in metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            json.WriteString(key, value);
        }

        json.WriteEndObject();
    }

    private static void WriteEntry(Utf8JsonWriter json, string name, HostTensor tensor, long offset)
    {
        json.WriteStartObject(name);
        json.WriteString("dtype", SafetensorsHeaderParser.NameOf(tensor.Type));
        json.WriteStartArray("shape");
        foreach (var extent in tensor.Shape)
        {
            json.WriteNumberValue(extent);
        }

        json.WriteEndArray();
        json.WriteStartArray("data_offsets");
        json.WriteNumberValue(offset);
        json.WriteNumberValue(offset + tensor.Bytes.Length);
        json.WriteEndArray();
        json.WriteEndObject();
    }
}
